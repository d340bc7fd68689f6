// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletAllocations

/// Heap allocations that the calling thread makes during `body`.
public func allocationCount(during body: () throws -> Void) rethrows -> Int {
    let before = martlet_allocation_count()
    try body()
    return Int(martlet_allocation_count() - before)
}

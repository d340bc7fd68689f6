// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The shared-memory regions that clients registered, by name.
public final class SharedMemoryRegistry: Sendable {
    public init() {}
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// How many decoded pixels one pipeline holds at a time.
///
/// A picture of a few kilobytes can decode to hundreds of megabytes, and a queue that is bounded in
/// requests is not bounded in memory. Who decodes takes a lease first, and waits on its own thread
/// until there is room: its queue fills up, and the client is told to come back.
package final class PixelBudget: Sendable {
    // Sendable: read and written under `monitor` only.
    private final class State: @unchecked Sendable { var taken = 0 }

    private let pixelsMax: Int
    private let monitor = Monitor()
    private let state = State()

    package init(pixelsMax: Int) {
        self.pixelsMax = pixelsMax
    }

    /// Waits for room and takes it; what is larger than the whole budget goes alone.
    package func take(_ pixels: Int) -> PixelLease {
        monitor.withLock {
            while state.taken > 0, state.taken > pixelsMax - pixels { monitor.wait() }
            state.taken += pixels
        }
        return PixelLease(self, pixels)
    }

    fileprivate func give(_ pixels: Int) {
        monitor.withLock {
            state.taken -= pixels
            monitor.broadcast()
        }
    }
}

/// A share of a budget, given back with the last reference to it.
package final class PixelLease: Sendable {
    private let budget: PixelBudget
    private let pixels: Int

    fileprivate init(_ budget: PixelBudget, _ pixels: Int) {
        self.budget = budget
        self.pixels = pixels
    }

    deinit { budget.give(pixels) }
}

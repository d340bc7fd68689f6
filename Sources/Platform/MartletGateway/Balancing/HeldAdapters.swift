// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a member of a pool says of its low-rank adapters.
package struct AdapterReport: Sendable, Hashable {
    package static let namesMax = 256
    package static let nameBytesMax = 256

    /// Those that it runs, or is about to.
    package var names: [String]
    /// As many as it holds at one time; nil: not said.
    package var slots: Int?

    package init(names: [String], slots: Int? = nil) {
        self.names = names
        self.slots = slots
    }
}

/// The adapters that a member probably holds: those that it was last seen with, by its own reports
/// and by what was sent there.
///
/// An adapter stays in its slot until another needs that, the one not used longest first; this
/// keeps the same order over as many slots as the member says. An estimate: what it is wrong about
/// costs the loading of an adapter, never a wrong answer.
package struct HeldAdapters: Sendable, Hashable {
    private static let slotsStandard = 8
    private static let slotsMax = 256

    private var slots = HeldAdapters.slotsStandard
    /// The one seen last stands last.
    package private(set) var names: [String] = []

    package init() {}

    package func holds(_ name: String) -> Bool { names.contains(name) }

    /// A request for it was sent there.
    package mutating func use(_ name: String) {
        if names.last == name { return }
        if let place = names.firstIndex(of: name) { names.remove(at: place) }
        names.append(name)
        if names.count > slots { names.removeFirst(names.count - slots) }
    }

    package mutating func take(_ report: AdapterReport) {
        if let told = report.slots { slots = min(max(told, 1), HeldAdapters.slotsMax) }
        // Whatever runs there is there, however few slots it said.
        slots = max(slots, min(report.names.count, HeldAdapters.slotsMax))
        for name in report.names { use(name) }
    }

    package mutating func forget() { names = [] }
}

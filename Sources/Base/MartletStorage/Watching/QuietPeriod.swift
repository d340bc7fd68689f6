// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// Decides when something that changes has come to rest: after a quiet period without another
/// change, or at once when a single rename put it in place.
///
/// A pure value: time is passed in. At most `keysMax` things are followed; when there are more, all
/// are forgotten and `takeOverflow` says so, so that the owner looks at everything afresh.
public struct QuietPeriod: Sendable {
    public let period: Duration
    public let keysMax: Int
    private var lastChange: [String: MonotonicInstant] = [:]
    private var settled: Set<String> = []
    private var hasOverflowed = false

    public init(_ period: Duration, keysMax: Int = 65_536) {
        self.period = period
        self.keysMax = keysMax
    }

    public var isEmpty: Bool { lastChange.isEmpty && settled.isEmpty && !hasOverflowed }

    /// Something happened to `key`. With `isWhole` it was put in place by one rename; it is then
    /// stable at once, unless it was changing already.
    public mutating func note(_ key: String, at now: MonotonicInstant, isWhole: Bool = false) {
        if isWhole, lastChange[key] == nil {
            settled.insert(key)
        } else {
            settled.remove(key)
            lastChange[key] = now
        }
        if lastChange.count + settled.count > keysMax { overflow() }
    }

    /// Changes were lost: what is followed is forgotten.
    public mutating func overflow() {
        lastChange.removeAll()
        settled.removeAll()
        hasOverflowed = true
    }

    /// Whether changes were lost since the last call.
    public mutating func takeOverflow() -> Bool {
        defer { hasOverflowed = false }
        return hasOverflowed
    }

    /// What has come to rest by `now`, sorted; it is not followed any longer.
    public mutating func takeStable(at now: MonotonicInstant) -> [String] {
        var stable = Array(settled)
        settled.removeAll(keepingCapacity: true)
        for (key, last) in lastChange where last.advanced(by: period) <= now {
            stable.append(key)
        }
        for key in stable { lastChange[key] = nil }
        return stable.sorted()
    }

    /// When `takeStable` may next have something to say; nil when nothing is followed.
    public var nextDeadline: MonotonicInstant? {
        if let earliest = lastChange.values.min(), settled.isEmpty {
            return earliest.advanced(by: period)
        }
        return settled.isEmpty ? nil : MonotonicInstant(nanoseconds: .min)
    }
}

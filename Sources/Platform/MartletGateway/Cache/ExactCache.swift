// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Answers by their whole key, with one request under way for each: the others wait for it.
///
/// Bounded in bytes, entries, flights and waiters; the entry that was used longest ago goes first.
/// Only whole, good answers are ever put in (`succeed`); a failure is told to those that waited and
/// kept for nobody. A value that only decides: the shell asks the upstream for whoever leads, and
/// wakes those that it is told to. O(1) per call and waiter.
package struct ExactCache<Value: Sendable>: Sendable {
    package struct Policy: Sendable, Hashable {
        package var bytesMax = 64 << 20
        package var entriesMax = 10_000
        /// Larger answers are passed on and not kept.
        package var entryBytesMax = 1 << 20
        package var timeToLive: Duration = .seconds(300)
        /// How long beyond its time an answer is kept, for when nobody else can answer.
        package var staleFor: Duration = .zero
        package var flightsMax = 1_024
        package var waitersMax = 256

        package init() {}
    }

    /// A request that is asking the upstream on behalf of all with its key.
    package struct Flight: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    /// A request that waits for another's answer.
    package struct Waiter: Sendable, Hashable {
        fileprivate let number: UInt64
        fileprivate let flight: UInt64
    }

    package enum Answer: Sendable {
        case hit(Value, age: Duration)
        /// Ask the upstream, then call `succeed`, `fail` or `abandon`.
        case lead(Flight)
        case wait(Waiter)
        /// Too many are waiting already: ask the upstream for yourself alone.
        case alone
    }

    private struct Entry {
        var key: CacheKey
        var value: Value
        var byteCount: Int
        var made: MonotonicInstant
        var newer: Int?
        var older: Int?
    }

    private struct Pending {
        var key: CacheKey
        var waiters: [Waiter] = []
    }

    package let policy: Policy
    package private(set) var byteCount = 0
    package private(set) var hits = 0
    package private(set) var misses = 0
    private var places: [CacheKey: Int] = [:]
    private var entries: [Entry?] = []
    private var free: [Int] = []
    private var newest: Int?
    private var oldest: Int?
    private var flights: [UInt64: Pending] = [:]
    private var flightByKey: [CacheKey: UInt64] = [:]
    private var nextNumber: UInt64 = 0

    package init(policy: Policy = Policy()) { self.policy = policy }

    package var count: Int { places.count }

    // MARK: Asking

    /// - Parameter isRefresh: an answer that is here is passed over, and replaced.
    package mutating func ask(
        _ key: CacheKey, isRefresh: Bool = false, at now: MonotonicInstant
    ) -> Answer {
        if !isRefresh, let (value, age) = find(key, within: policy.timeToLive, at: now) {
            hits += 1
            return .hit(value, age: age)
        }
        misses += 1
        if let number = flightByKey[key], let pending = flights[number] {
            guard pending.waiters.count < policy.waitersMax else { return .alone }
            let waiter = Waiter(number: next(), flight: number)
            flights[number]?.waiters.append(waiter)
            return .wait(waiter)
        }
        guard flights.count < policy.flightsMax else { return .alone }
        let number = next()
        flights[number] = Pending(key: key)
        flightByKey[key] = number
        return .lead(Flight(number: number))
    }

    /// An answer that is beyond its time, and within that for which such are kept.
    package mutating func stale(
        _ key: CacheKey, at now: MonotonicInstant
    ) -> (value: Value, age: Duration)? {
        find(key, within: policy.timeToLive + policy.staleFor, at: now)
    }

    private mutating func find(
        _ key: CacheKey, within time: Duration, at now: MonotonicInstant
    ) -> (value: Value, age: Duration)? {
        guard let place = places[key], let entry = entries[place] else { return nil }
        let age = entry.made.duration(to: now)
        guard age < time else {
            if age >= policy.timeToLive + policy.staleFor { remove(place) }
            return nil
        }
        unlink(place)
        linkAsNewest(place)
        return (entry.value, max(age, .zero))
    }

    // MARK: Answering

    /// Keeps an answer that nobody waits for, made then.
    package mutating func put(
        _ key: CacheKey, _ value: Value, byteCount: Int, made: MonotonicInstant
    ) {
        insert(key, value, byteCount, made)
    }

    /// The answer came whole and good. Those returned get it too.
    package mutating func succeed(
        _ flight: Flight, _ value: Value, byteCount: Int, isCacheable: Bool = true,
        at now: MonotonicInstant
    ) -> [Waiter] {
        guard let pending = end(flight) else { return [] }
        if isCacheable { insert(pending.key, value, byteCount, now) }
        return pending.waiters
    }

    /// The upstream failed, or its stream was cut. Nothing is kept; those returned are told.
    package mutating func fail(_ flight: Flight) -> [Waiter] { end(flight)?.waiters ?? [] }

    /// Whoever led has gone away, which is nobody else's fault: the first that waits leads on.
    package mutating func abandon(_ flight: Flight) -> (waiter: Waiter, flight: Flight)? {
        guard var pending = flights[flight.number] else { return nil }
        guard !pending.waiters.isEmpty else {
            _ = end(flight)
            return nil
        }
        let first = pending.waiters.removeFirst()
        flights[flight.number] = pending
        return (first, flight)
    }

    /// A waiter has gone away; false when it was answered before.
    package mutating func cancel(_ waiter: Waiter) -> Bool {
        guard
            let place = flights[waiter.flight]?.waiters.firstIndex(of: waiter)
        else { return false }
        flights[waiter.flight]?.waiters.remove(at: place)
        return true
    }

    /// Forgets every answer; requests under way go on.
    package mutating func removeAll() {
        places.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        free.removeAll(keepingCapacity: true)
        newest = nil
        oldest = nil
        byteCount = 0
    }

    // MARK: Inside

    private mutating func next() -> UInt64 {
        nextNumber += 1
        return nextNumber
    }

    private mutating func end(_ flight: Flight) -> Pending? {
        guard let pending = flights.removeValue(forKey: flight.number) else { return nil }
        flightByKey[pending.key] = nil
        return pending
    }

    private mutating func insert(
        _ key: CacheKey, _ value: Value, _ size: Int, _ now: MonotonicInstant
    ) {
        let (size, overflow) = max(size, 0).addingReportingOverflow(key.bytes.count)
        guard !overflow, size <= min(policy.entryBytesMax, policy.bytesMax),
            policy.entriesMax > 0
        else { return }
        if let place = places[key] { remove(place) }
        while let last = oldest,
            byteCount + size > policy.bytesMax || places.count >= policy.entriesMax
        { remove(last) }
        let entry = Entry(key: key, value: value, byteCount: size, made: now)
        let place: Int
        if let reused = free.popLast() {
            place = reused
            entries[place] = entry
        } else {
            place = entries.count
            entries.append(entry)
        }
        places[key] = place
        byteCount += size
        linkAsNewest(place)
    }

    private mutating func remove(_ place: Int) {
        guard let entry = entries[place] else { return }
        unlink(place)
        places[entry.key] = nil
        byteCount -= entry.byteCount
        entries[place] = nil
        free.append(place)
    }

    private mutating func unlink(_ place: Int) {
        guard let entry = entries[place] else { return }
        if let newer = entry.newer {
            entries[newer]?.older = entry.older
        } else {
            newest = entry.older
        }
        if let older = entry.older {
            entries[older]?.newer = entry.newer
        } else {
            oldest = entry.newer
        }
    }

    private mutating func linkAsNewest(_ place: Int) {
        entries[place]?.newer = nil
        entries[place]?.older = newest
        if let newest { entries[newest]?.newer = place }
        newest = place
        if oldest == nil { oldest = place }
    }
}

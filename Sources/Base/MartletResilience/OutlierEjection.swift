// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Takes upstreams out of a pool that fail in a row, or far more often than the others, and lets
/// them back after a while.
///
/// An upstream is ejected after so many failures in a row, or when at the end of an interval its
/// share of successes lies below the pool's mean by more than `deviations` standard deviations. The
/// n-th ejection lasts n times the base time; each healthy interval forgets one. No more than a
/// given share of the pool is ever out, so that a failure of everything does not leave nobody to
/// ask.
///
/// Source: Envoy's outlier detection. A value; O(1) per answer, O(upstreams) per interval; nothing
/// is allocated after `init`.
package struct OutlierEjection: Sendable {
    package struct Policy: Sendable, Hashable {
        package var failuresInRow = 5
        package var interval: Duration = .seconds(10)
        package var ejectionTime: Duration = .seconds(30)
        package var ejectionTimeMax: Duration = .seconds(300)
        /// The largest share of the pool that may be out.
        package var ejectedShareMax = 0.5
        /// Answers an upstream needs in an interval for its share of successes to count.
        package var answersMin = 100
        /// Upstreams with enough answers that a comparison needs.
        package var upstreamsMin = 3
        package var deviations = 1.9

        package init() {}
    }

    /// What is known of one upstream.
    package struct Member: Sendable {
        fileprivate var failuresInRow = 0
        fileprivate var answers = 0
        fileprivate var successes = 0
        fileprivate var ejections = 0
        fileprivate var ejectedUntil: MonotonicInstant?

        fileprivate init() {}
    }

    package let policy: Policy
    package private(set) var ejectedCount = 0
    private var members: [Member]
    private var intervalEnd: MonotonicInstant

    package init(upstreams: Int, policy: Policy = Policy(), at now: MonotonicInstant) {
        self.policy = policy
        members = Array(repeating: Member(), count: max(upstreams, 0))
        intervalEnd = now.advanced(by: policy.interval)
    }

    /// Takes over what is known of upstreams; ejections that are more than this pool may have end.
    package init(members known: [Member?], policy: Policy, at now: MonotonicInstant) {
        self.init(upstreams: known.count, policy: policy, at: now)
        members = known.map { $0 ?? Member() }
        for index in members.indices where members[index].ejectedUntil != nil {
            if ejectedCount < ejectedMax {
                ejectedCount += 1
            } else {
                members[index].ejectedUntil = nil
            }
        }
    }

    package func state(of upstream: Int) -> Member { members[upstream] }

    /// Whether an upstream must not be asked as of the last `advance` or `record`.
    package func isEjected(_ upstream: Int) -> Bool {
        members[upstream].ejectedUntil != nil
    }

    /// Reports an answer. True when it led to an ejection.
    @discardableResult
    package mutating func record(
        _ upstream: Int, isSuccess: Bool, at now: MonotonicInstant
    ) -> Bool {
        advance(to: now)
        members[upstream].answers += 1
        if isSuccess {
            members[upstream].successes += 1
            members[upstream].failuresInRow = 0
            return false
        }
        members[upstream].failuresInRow += 1
        guard members[upstream].failuresInRow >= policy.failuresInRow else { return false }
        return eject(upstream, at: now)
    }

    /// Lets upstreams back whose time is over, and compares them at the end of an interval.
    package mutating func advance(to now: MonotonicInstant) {
        if ejectedCount > 0 {
            for index in members.indices {
                guard let until = members[index].ejectedUntil, until <= now else { continue }
                members[index].ejectedUntil = nil
                members[index].failuresInRow = 0
                ejectedCount -= 1
            }
        }
        guard now >= intervalEnd else { return }
        compare(at: now)
        for index in members.indices {
            if members[index].ejectedUntil == nil, members[index].ejections > 0 {
                members[index].ejections -= 1
            }
            members[index].answers = 0
            members[index].successes = 0
        }
        intervalEnd = now.advanced(by: policy.interval)
    }

    /// How many may be out at one time: one at least, if there is another.
    package var ejectedMax: Int {
        guard members.count > 1 else { return 0 }
        return min(max(1, Int(Double(members.count) * policy.ejectedShareMax)), members.count - 1)
    }

    private mutating func compare(at now: MonotonicInstant) {
        var count = 0
        var sum = 0.0
        var squares = 0.0
        for member in members where member.answers >= policy.answersMin {
            let share = Double(member.successes) / Double(member.answers)
            count += 1
            sum += share
            squares += share * share
        }
        guard count >= policy.upstreamsMin else { return }
        let mean = sum / Double(count)
        let deviation = max(squares / Double(count) - mean * mean, 0).squareRoot()
        let least = mean - policy.deviations * deviation
        for index in members.indices where members[index].answers >= policy.answersMin {
            let share = Double(members[index].successes) / Double(members[index].answers)
            if share < least { _ = eject(index, at: now) }
        }
    }

    private mutating func eject(_ upstream: Int, at now: MonotonicInstant) -> Bool {
        guard members[upstream].ejectedUntil == nil, ejectedCount < ejectedMax else {
            return false
        }
        members[upstream].ejections += 1
        let time = min(
            policy.ejectionTime * members[upstream].ejections, policy.ejectionTimeMax)
        members[upstream].ejectedUntil = now.advanced(by: time)
        ejectedCount += 1
        return true
    }
}

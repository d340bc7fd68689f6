// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import Synchronization

/// Times of a session's steps, summed over runs while profiling is on.
public final class StepProfile: Sendable {
    /// One node's share. A node of several steps counts each as a call.
    public struct Entry: Sendable, Hashable {
        public var name: String
        public var operatorName: String
        public var calls: Int
        public var microseconds: Double
    }

    private struct Sum {
        var operatorName: String
        var calls = 0
        var nanoseconds: Int64 = 0
    }

    private let sums = Mutex<[String: Sum]>([:])
    private let time = SystemTime()

    init() {}

    /// The slowest first.
    public var entries: [Entry] {
        sums.withLock { sums in
            sums.map { name, sum in
                Entry(
                    name: name, operatorName: sum.operatorName, calls: sum.calls,
                    microseconds: Double(sum.nanoseconds) / 1000)
            }
        }.sorted { $0.microseconds > $1.microseconds }
    }

    /// Sums by operator, the slowest first.
    public var operators: [Entry] {
        var totals: [String: Entry] = [:]
        for entry in entries {
            var total =
                totals[entry.operatorName]
                ?? Entry(
                    name: entry.operatorName, operatorName: entry.operatorName, calls: 0,
                    microseconds: 0)
            total.calls += entry.calls
            total.microseconds += entry.microseconds
            totals[entry.operatorName] = total
        }
        return totals.values.sorted { $0.microseconds > $1.microseconds }
    }

    func now() -> Int64 { time.now().nanoseconds }

    func add(_ node: Plan.StepNode, since start: Int64) {
        let elapsed = now() - start
        sums.withLock { sums in
            sums[node.name, default: Sum(operatorName: node.operatorName)].calls += 1
            sums[node.name, default: Sum(operatorName: node.operatorName)].nanoseconds += elapsed
        }
    }
}

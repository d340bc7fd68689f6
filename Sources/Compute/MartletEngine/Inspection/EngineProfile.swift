// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A session that can time its operators.
public protocol ProfilingSession: EngineSession {
    /// Starts to time every node of every run; ends with `stopProfile()`.
    func startProfile() throws
    /// What was measured since `startProfile()`; nil when nothing was started.
    func stopProfile() throws -> EngineProfile?
}

/// Where runs spent their time, node by node: one form for every engine.
public struct EngineProfile: Sendable {
    /// A node, or all nodes of an operator.
    public struct Entry: Sendable, Hashable {
        public var name: String
        public var operatorName: String
        /// How often it ran.
        public var calls: Int
        /// All calls together.
        public var microseconds: Double
        /// The standard deviation of a call's time.
        public var sigmaMicroseconds: Double
        /// Multiplications and additions of products and convolutions, all calls together; 0 for
        /// what is neither.
        public var operations: Double
        /// What inputs and outputs hold, all calls together: the least that memory must move.
        public var bytes: Double

        public var meanMicroseconds: Double { microseconds / Double(max(calls, 1)) }

        /// Nil for what is no product.
        public var operationsPerSecond: Double? {
            operations > 0 && microseconds > 0 ? operations / microseconds * 1e6 : nil
        }

        public var bytesPerSecond: Double? {
            bytes > 0 && microseconds > 0 ? bytes / microseconds * 1e6 : nil
        }
    }

    /// The slowest first.
    public let entries: [Entry]
    /// Sums by operator, the slowest first; sigma is over all calls of the operator.
    public let operators: [Entry]

    public var microseconds: Double { operators.reduce(0) { $0 + $1.microseconds } }

    /// An entry's part of the whole, from 0 to 1.
    public func share(of entry: Entry) -> Double {
        microseconds > 0 ? entry.microseconds / microseconds : 0
    }
}

extension EngineProfile {
    /// A profile in the making.
    package struct Builder: Sendable {
        private struct Sum {
            var operatorName: String
            var calls = 0
            var total = 0.0
            var squares = 0.0
            var work = OperatorWork()

            mutating func add(_ other: Sum) {
                calls += other.calls
                total += other.total
                squares += other.squares
                work.operations += other.work.operations
                work.bytes += other.work.bytes
            }

            func entry(_ name: String) -> Entry {
                let count = Double(max(calls, 1))
                let mean = total / count
                return Entry(
                    name: name, operatorName: operatorName, calls: calls, microseconds: total,
                    sigmaMicroseconds: max(squares / count - mean * mean, 0).squareRoot(),
                    operations: work.operations, bytes: work.bytes)
            }
        }

        /// More nodes than any model has; what comes later is counted under its operator.
        private static let namesMax = 1 << 20

        private var sums: [String: Sum] = [:]

        package init() {}

        package mutating func add(
            name: String, operatorName: String, microseconds: Double, work: OperatorWork
        ) {
            let isKnown = sums[name] != nil || sums.count < Builder.namesMax
            sums[isKnown ? name : operatorName, default: Sum(operatorName: operatorName)].add(
                Sum(
                    operatorName: operatorName, calls: 1, total: microseconds,
                    squares: microseconds * microseconds, work: work))
        }

        package func build() -> EngineProfile {
            var operators: [String: Sum] = [:]
            for sum in sums.values {
                operators[sum.operatorName, default: Sum(operatorName: sum.operatorName)].add(sum)
            }
            func sorted(_ sums: [String: Sum]) -> [Entry] {
                sums.map { $0.value.entry($0.key) }.sorted {
                    $0.microseconds != $1.microseconds
                        ? $0.microseconds > $1.microseconds : $0.name < $1.name
                }
            }
            return EngineProfile(entries: sorted(sums), operators: sorted(operators))
        }
    }
}

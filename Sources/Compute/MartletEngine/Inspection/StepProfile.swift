// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import Synchronization

/// Times of a session's nodes, summed over runs while profiling is on.
final class StepProfile: Sendable {
    private let builder = Mutex(EngineProfile.Builder())
    private let time = SystemTime()

    var report: EngineProfile { builder.withLock { $0.build() } }

    func now() -> Int64 { time.now().nanoseconds }

    /// Adds a node that ran from `start` until now.
    func add(_ node: Plan.StepNode, since start: Int64) {
        let microseconds = Double(now() - start) / 1000
        builder.withLock {
            $0.add(
                name: node.name, operatorName: node.operatorName, microseconds: microseconds,
                work: node.work)
        }
    }
}

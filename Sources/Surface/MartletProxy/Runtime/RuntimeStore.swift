// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Synchronization

/// The runtime that is in force. A change is built beside it and put in its place whole; loops see
/// it with their next request, by one atomic comparison.
final class RuntimeStore: Sendable {
    private let routing: RoutingStore
    private let current: Mutex<GatewayRuntime>
    private let time: any TimeSource
    private let secrets: @Sendable (String) -> String?

    init(
        _ snapshot: RoutingSnapshot, time: any TimeSource,
        secrets: @escaping @Sendable (String) -> String?
    ) {
        routing = RoutingStore(snapshot)
        self.time = time
        self.secrets = secrets
        current = Mutex(
            GatewayRuntime(snapshot, after: nil, at: time.now(), secrets: secrets))
    }

    var generation: UInt64 { routing.generation }

    func load() -> (runtime: GatewayRuntime, generation: UInt64) {
        current.withLock { ($0, routing.generation) }
    }

    /// Puts a snapshot in force for every later request.
    func publish(_ snapshot: RoutingSnapshot) {
        current.withLock { current in
            current = GatewayRuntime(
                snapshot, after: current, at: time.now(), secrets: secrets)
            routing.publish(snapshot)
        }
    }

    /// Puts the snapshot before back in force; false when there is none.
    func rollBack() -> Bool {
        current.withLock { current in
            guard routing.rollBack() else { return false }
            current = GatewayRuntime(
                routing.load().snapshot, after: current, at: time.now(), secrets: secrets)
            return true
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import NIOCore

extension GatewayServer {
    /// What a request's look at the configuration in force costs on its event loop, in nanoseconds,
    /// the best of five runs: lent for a moment, and held as a request holds it until its end.
    ///
    /// The server must have been started.
    package func timeReads(_ count: Int) async throws -> (lent: Double, held: Double) {
        guard let box = shared.loops.first else { return (.infinity, .infinity) }
        return try await box.eventLoop.submit {
            let (loop, time) = (box.value, SystemTime())
            var best = (lent: Double.infinity, held: Double.infinity)
            var sum: UInt64 = 0
            var exchange = Exchange()
            for _ in 0..<5 {
                let began = time.now()
                for _ in 0..<count { sum &+= loop.read { $0.serial } }
                let middle = time.now()
                for _ in 0..<count { exchange.runtime = loop.runtime() }
                let each = { (nanoseconds: Int64) in Double(nanoseconds) / Double(count) }
                best.lent = min(best.lent, each(began.nanoseconds(to: middle)))
                best.held = min(best.held, each(middle.nanoseconds(to: time.now())))
            }
            let serial = exchange.runtime?.serial ?? 0
            return sum == 5 &* UInt64(count) &* serial ? best : (.infinity, .infinity)
        }.get()
    }
}

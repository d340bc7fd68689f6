// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway

/// Event streams on their way: what is kept back of them, and what is left out.
extension ClientConnection {
    /// Comments that come later than so long after the head go to the client at once: it waits too.
    private static let heldNanosecondsMax: Int64 = 1_000_000_000

    /// Relays a stream that was asked for its usage by the gateway: the client gets all but that.
    func relayWithoutUsage(_ body: UnsafeRawBufferPointer) {
        unsafe compare(body)
        var kept: [UInt8] = []
        unsafe exchange.events.read(body, leavingOutUsage: &kept)
        if !kept.isEmpty { unsafe kept.withUnsafeBytes { unsafe passOn($0) } }
    }

    /// The stream has ended: what was kept back of its last event goes on.
    func passOnHeld() {
        guard exchange.leavesOutUsage else { return }
        var kept: [UInt8] = []
        exchange.events.takeHeld(&kept)
        if !kept.isEmpty { unsafe kept.withUnsafeBytes { unsafe passOn($0) } }
    }

    /// Nothing of a compressed answer can be compared or kept for questions of the same meaning.
    func giveUpReading() {
        if exchange.isShadowed {
            exchange.isShadowed = false
            loop.metrics.shadowsDropped += 1
        }
        exchange.semantic = nil
    }

    /// Whether the stream has shown what it is worth: its first event is there, or it has been
    /// long in coming. Comments tell that the upstream lives: they renew its time.
    func hasShown() -> Bool {
        if exchange.events.eventCount > 0 { return true }
        if exchange.held.count > ClientConnection.heldBytesMax { return true }
        guard exchange.events.commentCount > 0, let first = exchange.firstByte else { return false }
        let now = shared.time.now()
        if first.nanoseconds(to: now) >= ClientConnection.heldNanosecondsMax { return true }
        waitForAnswer(from: now)
        return false
    }
}

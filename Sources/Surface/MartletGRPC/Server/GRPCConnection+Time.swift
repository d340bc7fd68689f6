// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import NIOCore

extension GRPCConnection {
    /// How long a client may take to answer the PING that follows a GOAWAY.
    private static let drainRoundTrip = Duration.seconds(1)
    static let drainPing: UInt64 = 0x6D61_7274_6C65_7401
    private static let keepAlivePing: UInt64 = 0x6D61_7274_6C65_7402

    // MARK: The timer

    /// Sees to it that `ring` is called by `due`. One timer serves the connection and all of its
    /// calls; it rings at the earliest time that mattered when it was set, and looks around then.
    func setTimer(_ due: MonotonicInstant) {
        guard due < timerDue, let context, !isClosing else { return }
        timer?.cancel()
        timerDue = due
        let left = environment.time.now().duration(to: due).nanosecondsSaturating
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: .nanoseconds(max(0, left))) {
            connection.value.ring()
        }
    }

    /// Sets the timer for whatever comes next.
    func setTimer() {
        let limits = environment.limits
        var due = lastRead.advanced(by: limits.keepAliveInterval)
        if let pingSent { due = pingSent.advanced(by: limits.keepAliveTimeout) }
        if !http.hasBegun { due = min(due, began.advanced(by: limits.prefaceTime)) }
        if let drainBegan {
            let left =
                hasDrainRoundTripPassed ? limits.drainTime : GRPCConnection.drainRoundTrip
            due = min(due, drainBegan.advanced(by: left))
        } else if http.streamCount == 0 {
            due = min(due, idleSince.advanced(by: limits.idleTime))
        }
        for stream in streams {
            if let next = stream?.nextDeadline { due = min(due, next) }
        }
        setTimer(due)
    }

    private var idleSince: MonotonicInstant { max(lastRead, lastCallEnded) }

    private var hasDrainRoundTripPassed: Bool {
        guard let drainBegan else { return false }
        return now >= drainBegan.advanced(by: GRPCConnection.drainRoundTrip)
    }

    private func ring() {
        timer = nil
        timerDue = MonotonicInstant(nanoseconds: .max)
        guard !isClosing else { return }
        now = environment.time.now()
        for stream in streams { stream?.expire(now) }
        let limits = environment.limits
        if !http.hasBegun, now >= began.advanced(by: limits.prefaceTime) { return close() }
        if let pingSent {
            if now >= pingSent.advanced(by: limits.keepAliveTimeout) { return close() }
        } else if now >= lastRead.advanced(by: limits.keepAliveInterval) {
            pingSent = now
            http.ping(GRPCConnection.keepAlivePing)
        }
        if let drainBegan {
            if now >= drainBegan.advanced(by: limits.drainTime) { return close() }
            if hasDrainRoundTripPassed { finishDrain() }
        } else if http.streamCount == 0, now >= idleSince.advanced(by: limits.idleTime) {
            beginDrain()
        }
        flush()
        setTimer()
    }

    // MARK: Going away

    /// Tells the client to open no more streams, lets a round trip pass for those it has opened
    /// meanwhile, and closes when the last call is over.
    func beginDrain() {
        guard drainBegan == nil, !isClosing else { return }
        now = environment.time.now()
        drainBegan = now
        http.beginDrain()
        http.ping(GRPCConnection.drainPing)
        flush()
        setTimer()
    }

    func finishDrain() {
        guard drainBegan != nil else { return }
        http.finishDrain()
        outputAdded()
    }

    func closeIfDrained() {
        guard http.hasDrained, !isClosing, http.output.isEmpty else { return }
        closeAfterOutput()
    }

    /// Closes once all that was written has left, or the client has not taken it in time.
    func closeAfterOutput() {
        guard !isClosing, let context else { return }
        isClosing = true
        let channel = context.channel
        let left = context.eventLoop.makePromise(of: Void.self)
        left.futureResult.whenComplete { _ in channel.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: left)
        timer?.cancel()
        timer = context.eventLoop.scheduleTask(
            in: .nanoseconds(environment.limits.drainTime.nanosecondsSaturating)
        ) { channel.close(promise: nil) }
    }
}

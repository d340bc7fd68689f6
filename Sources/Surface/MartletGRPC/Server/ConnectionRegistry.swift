// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import NIOCore
internal import Synchronization

/// The open connections of a server: counted, and closed together when it stops.
final class ConnectionRegistry: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isDraining = false
        var emptied: EventLoopPromise<Void>?
    }

    private let state = Mutex(State())
    private let countMax: Int

    init(countMax: Int) {
        self.countMax = countMax
    }

    /// Takes a connection in; false when there are too many or the server is stopping.
    func add(_ channel: any Channel) -> Bool {
        state.withLock { state in
            guard !state.isDraining, state.channels.count < countMax else { return false }
            state.channels[ObjectIdentifier(channel)] = channel
            return true
        }
    }

    func remove(_ channel: any Channel) {
        let promise = state.withLock { state -> EventLoopPromise<Void>? in
            state.channels[ObjectIdentifier(channel)] = nil
            guard state.channels.isEmpty else { return nil }
            defer { state.emptied = nil }
            return state.emptied
        }
        promise?.succeed()
    }

    var count: Int { state.withLock { $0.channels.count } }

    /// Tells every client to go elsewhere (GOAWAY), lets the calls in progress finish for at most
    /// `limit`, and closes what is left then. The future is done when no connection is open.
    func drain(on eventLoop: any EventLoop, limit: TimeAmount) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        let channels = state.withLock { state -> [any Channel] in
            state.isDraining = true
            if !state.channels.isEmpty { state.emptied = promise }
            return Array(state.channels.values)
        }
        guard !channels.isEmpty else {
            promise.succeed()
            return promise.futureResult
        }
        for channel in channels {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        let timer = eventLoop.scheduleTask(in: limit) { self.closeAll() }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        return promise.futureResult
    }

    func closeAll() {
        let channels = state.withLock { state -> [any Channel] in
            state.isDraining = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.close(promise: nil) }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletGateway
internal import MartletStorage
internal import MartletWire
internal import NIOCore

/// Fetches the key sets of token issuers: at the start, from time to time, and soon after a token
/// named a key that is not there. One event loop does it for all.
///
/// A fetch has a bounded time and size, one at a time for each issuer; when it fails, the keys
/// that are there stay.
final class TokenKeyKeeper {
    private static let tick = TimeAmount.milliseconds(100)
    /// However many tokens with unknown keys come, keys are not fetched more often.
    private static let pause = Duration.seconds(2)

    private struct Progress {
        var isFetching = false
        var next = MonotonicInstant(nanoseconds: .min)
        var earliest = MonotonicInstant(nanoseconds: .min)
    }

    private let loop: ProxyLoop
    private var progress: [ObjectIdentifier: Progress] = [:]

    init(_ loop: ProxyLoop) { self.loop = loop }

    func start() {
        check()
        loop.eventLoop.assumeIsolated().scheduleTask(in: TokenKeyKeeper.tick) { [self] in
            if !loop.shared.isDraining { start() }
        }
    }

    private func check() {
        let all = loop.runtime().tokenKeys
        let now = loop.shared.time.now()
        let alive = Set(all.map(ObjectIdentifier.init))
        progress = progress.filter { alive.contains($0.key) }
        for keys in all {
            let id = ObjectIdentifier(keys)
            var mine = progress[id] ?? Progress()
            if !mine.isFetching, now >= mine.earliest, keys.takeWish() || now >= mine.next {
                mine.isFetching = true
                mine.earliest = now.advanced(by: TokenKeyKeeper.pause)
                mine.next = now.advanced(by: keys.refresh)
                progress[id] = mine
                fetch(keys)
            } else {
                progress[id] = mine
            }
        }
    }

    private func fetch(_ keys: TokenKeys) {
        switch keys.source {
        case .file(let path):
            do {
                let bytes = try FileSystem.readAll(path, limit: KeySet.bytesMax)
                has(.success(bytes), keys, path)
            } catch { has(.failure(KeySetError(message: "\(error)")), keys, path) }
        case .remote(let address):
            KeySetRequest(address, loop).ask { [weak self] result in
                self?.has(result, keys, "\(address)")
            }
        }
    }

    private func has(
        _ result: Result<[UInt8], KeySetError>, _ keys: TokenKeys, _ place: String
    ) {
        progress[ObjectIdentifier(keys)]?.isFetching = false
        do throws(KeySetError) {
            keys.replace(try KeySet(try result.get()))
        } catch {
            // Without any keys nobody can come in: that is tried again soon.
            if keys.current == nil {
                progress[ObjectIdentifier(keys)]?.next = loop.shared.time.now()
            }
            loop.shared.logger.warning(
                "the keys of a token issuer could not be had; those that are there stay",
                metadata: ["keys": "\(place)", "reason": "\(error.message.prefix(300))"])
        }
    }
}

/// One GET of a key set.
private final class KeySetRequest: UpstreamUser {
    private static let timeMax = TimeAmount.seconds(3)

    private let loop: ProxyLoop
    private let identity: UpstreamIdentity
    private var connections: UpstreamConnections?
    private var connection: UpstreamConnection?
    private var timer: Scheduled<Void>?
    private var completion: ((Result<[UInt8], KeySetError>) -> Void)?
    private var body: [UInt8] = []

    init(_ address: GatewayConfiguration.Upstream.Address, _ loop: ProxyLoop) {
        self.loop = loop
        identity = UpstreamIdentity(
            RoutingTables.Upstream(name: "keys", address: address, dialect: .openai),
            secret: nil)
    }

    func ask(_ completion: @escaping (Result<[UInt8], KeySetError>) -> Void) {
        self.completion = completion
        timer = loop.eventLoop.assumeIsolated().scheduleTask(in: KeySetRequest.timeMax) { [self] in
            end(.failure(KeySetError(message: "no answer within 3 s")))
        }
        let connections = UpstreamConnections(
            identity, eventLoop: loop.eventLoop, tls: loop.shared.store.tls)
        self.connections = connections
        connections.connect { [self] result in
            switch result {
            case .success(let connection): send(connection)
            case .failure(let failure): end(.failure(KeySetError(message: failure.message)))
            }
        }
    }

    private func send(_ connection: UpstreamConnection) {
        guard completion != nil else { return connection.giveBack() }
        self.connection = connection
        connection.begin(self, method: .get)
        let path = identity.pathPrefix.isEmpty ? Array("/".utf8) : identity.pathPrefix
        let bytes =
            Array("GET ".utf8) + path + Array(" HTTP/1.1\r\n".utf8) + identity.hostLine
            + Array("Accept: application/json\r\nConnection: close\r\n\r\n".utf8)
        unsafe bytes.withUnsafeBytes { unsafe connection.send($0) }
        connection.endRequest()
    }

    private func end(_ result: Result<[UInt8], KeySetError>) {
        guard let completion else { return }
        self.completion = nil
        timer?.cancel()
        timer = nil
        if let connection, connection.user === self { connection.cancel() }
        connection = nil
        connections?.closeIdle()
        connections = nil
        completion(result)
    }

    func upstreamAnswered(_ head: HTTPResponseHead, _ connection: UpstreamConnection) {
        if head.status != 200 {
            end(.failure(KeySetError(message: "it answered \(head.status)")))
        }
    }

    func upstreamSent(body bytes: UnsafeRawBufferPointer, _ connection: UpstreamConnection) {
        guard body.count + bytes.count <= KeySet.bytesMax else {
            return end(.failure(KeySetError(message: "more than \(KeySet.bytesMax) bytes")))
        }
        unsafe body.append(contentsOf: bytes)
    }

    func upstreamFinished(_ connection: UpstreamConnection) { end(.success(body)) }
    func upstreamFailed(_ failure: UpstreamFailure, _ connection: UpstreamConnection) {
        end(.failure(KeySetError(message: failure.message)))
    }
    func upstreamPaused(_ connection: UpstreamConnection) {}
    func upstreamDrained(_ connection: UpstreamConnection) {}
}

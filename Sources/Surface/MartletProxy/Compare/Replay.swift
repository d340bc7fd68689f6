// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
package import MartletGateway
internal import MartletJSON
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Asks two endpoints the same requests and compares their answers, without a gateway.
package struct Replay: Sendable {
    package struct Endpoint: Sendable {
        package var url: String
        /// Sent as a bearer token.
        package var secret: String?

        package init(url: String, secret: String? = nil) {
            self.url = url
            self.secret = secret
        }
    }

    package struct Outcome: Sendable {
        package var report = ComparisonReport()
        /// Requests that the first endpoint did not answer: nothing to compare with.
        package var failed = 0
        package var firstFailure: String?
    }

    package var primary: Endpoint
    package var candidate: Endpoint
    /// The first endpoint is asked twice, to tell its own noise from differences.
    package var measuresNoise = false
    /// Requests under way at a time.
    package var concurrency = 8
    package var timeout: Duration = .seconds(60)

    package init(primary: Endpoint, candidate: Endpoint) {
        self.primary = primary
        self.candidate = candidate
    }

    /// - Throws: `ProxyError` when an address is none.
    package func run(_ requests: [ReplayRequest]) async throws -> Outcome {
        let identities = try [primary, candidate].map { try Replay.identity($0.url) }
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let tls = try Replay.contexts()
        let promise = eventLoop.makePromise(of: Outcome.self)
        let replay = self
        eventLoop.execute {
            ReplayRun(replay, requests, identities, eventLoop, tls, promise).begin()
        }
        return try await promise.futureResult.get()
    }

    /// Gets one document.
    /// - Throws: `ProxyError` when there is no answer.
    package static func get(
        _ url: String, path: String, secret: String?, timeout: Duration = .seconds(30)
    ) async throws -> (status: Int, body: [UInt8]) {
        let identity = try identity(url)
        let request = try ReplayRequest(
            line: (["method": "GET", "path": .string(path)] as JSONValue).serialized(), number: 1)
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let tls = try Replay.contexts()
        let promise = eventLoop.makePromise(of: ComparedAnswer.self)
        eventLoop.execute {
            let connections = UpstreamConnections(identity, eventLoop: eventLoop, tls: tls)
            ReplayCall(request, to: connections, secret: secret) { result in
                connections.closeIdle()
                promise.completeWith(result.mapError { $0 as any Error })
            }.begin(on: eventLoop, timeout: timeout)
        }
        let answer = try await promise.futureResult.get()
        return (answer.status, answer.body)
    }

    private static func contexts() throws(ProxyError) -> UpstreamTLSContexts {
        let file = unsafe getenv("SSL_CERT_FILE").map { unsafe String(cString: $0) }
        let contexts = UpstreamTLSContexts(trustFile: file)
        try contexts.prepare([UpstreamTLSPolicy()])
        return contexts
    }

    /// An address as gateway.yaml has it.
    private static func identity(_ url: String) throws -> UpstreamIdentity {
        let yaml = "upstreams: {a: \(JSONValue.string(url))}\nmodels: {m: a}\n"
        let snapshot: RoutingSnapshot
        do throws(GatewayConfigurationError) {
            snapshot = try RoutingSnapshot(yaml: Array(yaml.utf8), file: url)
        } catch {
            throw ProxyError(
                .badAddress, "'\(url)' is no address; it must look like http://host:8000")
        }
        let identity = UpstreamIdentity(snapshot.tables.upstreams[0], secret: nil)
        guard identity.canBeAsked else {
            throw ProxyError(.badAddress, "'\(url)' cannot be asked by HTTP")
        }
        return identity
    }
}

/// A replay under way; lives on one event loop.
private final class ReplayRun {
    private let replay: Replay
    private let requests: [ReplayRequest]
    private let connections: [UpstreamConnections]
    private let eventLoop: any EventLoop
    private let promise: EventLoopPromise<Replay.Outcome>
    private var next = 0
    private var open = 0
    private var outcome = Replay.Outcome()

    init(
        _ replay: Replay, _ requests: [ReplayRequest], _ identities: [UpstreamIdentity],
        _ eventLoop: any EventLoop, _ tls: UpstreamTLSContexts,
        _ promise: EventLoopPromise<Replay.Outcome>
    ) {
        self.replay = replay
        self.requests = requests
        self.eventLoop = eventLoop
        self.promise = promise
        connections = identities.map {
            UpstreamConnections($0, eventLoop: eventLoop, tls: tls)
        }
    }

    func begin() {
        while open < max(replay.concurrency, 1), next < requests.count {
            open += 1
            next += 1
            ask(requests[next - 1])
        }
        guard open == 0, next == requests.count else { return }
        for connections in connections { connections.closeIdle() }
        promise.succeed(outcome)
    }

    private func ask(_ request: ReplayRequest) {
        var answers: [Result<ComparedAnswer, ProxyError>?] = [nil, nil]
        for (index, endpoint) in [replay.primary, replay.candidate].enumerated() {
            ReplayCall(request, to: connections[index], secret: endpoint.secret) { [self] result in
                answers[index] = result
                guard let one = answers[0], let other = answers[1] else { return }
                answered(request, one, other)
            }.begin(on: eventLoop, timeout: replay.timeout)
        }
    }

    private func answered(
        _ request: ReplayRequest, _ one: Result<ComparedAnswer, ProxyError>,
        _ other: Result<ComparedAnswer, ProxyError>
    ) {
        let primary: ComparedAnswer
        switch one {
        case .success(let answer): primary = answer
        case .failure(let error):
            outcome.failed += 1
            outcome.firstFailure = outcome.firstFailure ?? "\(request.id): \(error)"
            return finish()
        }
        let candidate: ComparedAnswer
        switch other {
        case .success(let answer): candidate = answer
        case .failure(let error):
            outcome.report.addFailure(error.message)
            return finish()
        }
        guard replay.measuresNoise else {
            return compare(request, primary, candidate, again: nil)
        }
        ReplayCall(request, to: connections[0], secret: replay.primary.secret) { [self] result in
            compare(request, primary, candidate, again: try? result.get())
        }.begin(on: eventLoop, timeout: replay.timeout)
    }

    /// Long texts are compared beside the loop, which has answers to take in.
    private func compare(
        _ request: ReplayRequest, _ primary: ComparedAnswer, _ candidate: ComparedAnswer,
        again: ComparedAnswer?
    ) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let eventLoop = eventLoop
        NIOThreadPool.singleton.submit { _ in
            let exchange = AnswerComparison.compare(
                id: request.id, primary: primary, candidate: candidate, again: again,
                request: request.body)
            eventLoop.execute {
                bound.value.outcome.report.add(exchange)
                bound.value.finish()
            }
        }
    }

    private func finish() {
        open -= 1
        begin()
    }
}

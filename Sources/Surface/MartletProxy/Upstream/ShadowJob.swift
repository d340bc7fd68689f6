// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire
internal import NIOCore
internal import NIOPosix

/// One request asked of a candidate off the response path, and compared with what the client got.
/// Bounded: so many at a time on a loop, answers up to a size, each within its pool's time.
final class ShadowJob {
    private let loop: ProxyLoop
    private let id: String
    private let model: String
    private let primary: ComparedAnswer
    private let price: GatewayConfiguration.Price?
    private let candidatePrice: GatewayConfiguration.Price?
    /// The body that was asked, for the worst cases.
    private let request: [UInt8]
    private var calls: [ShadowCall] = []
    private var candidate: ComparedAnswer?
    private var failure = "the candidate's pool had nobody to ask"
    private var again: ComparedAnswer?
    private var open = 0
    private var hasCandidate = false

    init(
        _ loop: ProxyLoop, id: String, model: String, primary: ComparedAnswer,
        price: GatewayConfiguration.Price?, candidatePrice: GatewayConfiguration.Price?,
        request: [UInt8]
    ) {
        self.loop = loop
        self.id = id
        self.model = model
        self.primary = primary
        self.price = price
        self.candidatePrice = candidatePrice
        self.request = request
    }

    func ask(_ call: ShadowCall?, isCandidate: Bool) {
        guard let call else { return }
        call.isCandidate = isCandidate
        if isCandidate { hasCandidate = true }
        calls.append(call)
    }

    func begin() {
        guard hasCandidate else {
            loop.metrics.shadowsDropped += 1
            for call in calls { call.drop(loop) }
            return loop.shared.comparisons.addFailure(failure, model: model)
        }
        loop.shadowsInFlight += 1
        open = calls.count
        for call in calls {
            call.ask(loop) { [self] answer in
                if call.isCandidate { failure = call.failure }
                take(answer, isCandidate: call.isCandidate)
            }
        }
    }

    private func take(_ answer: ComparedAnswer?, isCandidate: Bool) {
        if isCandidate { candidate = answer } else { again = answer }
        open -= 1
        guard open == 0 else { return }
        calls = []
        guard let candidate else {
            loop.shadowsInFlight -= 1
            loop.metrics.shadowsDropped += 1
            return loop.shared.comparisons.addFailure(failure, model: model)
        }
        // Long texts are compared elsewhere: the loop has requests to carry.
        let (ledger, id, model) = (loop.shared.comparisons, id, model)
        let (primary, again, price, candidatePrice) = (primary, again, price, candidatePrice)
        let request = request
        let bound = NIOLoopBound(loop, eventLoop: loop.eventLoop)
        loop.shared.comparing.submit { state in
            let isCompared = state == .active
            if isCompared {
                ledger.add(
                    AnswerComparison.compare(
                        id: id, primary: primary, candidate: candidate, again: again,
                        price: price, candidatePrice: candidatePrice, request: request),
                    model: model)
            }
            // Its place is free when it holds nothing any more: no more wait than have places.
            bound.eventLoop.execute {
                let loop = bound.value
                loop.shadowsInFlight -= 1
                if isCompared {
                    loop.metrics.shadowsCompared += 1
                } else {
                    loop.metrics.shadowsDropped += 1
                }
            }
        }
    }
}

/// One question of a shadow to one upstream.
final class ShadowCall: UpstreamUser {
    var isCandidate = false
    private let pool: PoolRuntime
    private let request: [UInt8]
    private let method: HTTPMethod
    /// The longest that it may take.
    private let nanoseconds: Int64
    private var attempt: PoolRuntime.Attempt?
    private var connection: UpstreamConnection?
    private var timer: Scheduled<Void>?
    private var collector = AnswerCollector()
    private var began = MonotonicInstant(nanoseconds: 0)
    private var completion: ((ComparedAnswer?) -> Void)?
    private let time = SystemTime()
    /// Why there is no answer, when there is none.
    private(set) var failure = ""

    init(
        _ pool: PoolRuntime, _ attempt: PoolRuntime.Attempt, _ request: [UInt8],
        _ method: HTTPMethod, limit: Duration? = nil
    ) {
        self.pool = pool
        nanoseconds = min(limit?.nanosecondsSaturating ?? .max, pool.timeoutNanoseconds)
        self.attempt = attempt
        self.request = request
        self.method = method
    }

    /// Gives the place back without asking.
    func drop(_ loop: ProxyLoop) {
        if let attempt { pool.finish(attempt, .neutral, at: time.now()) }
        attempt = nil
    }

    /// `completion` is called once; with nil when no whole answer of a fair size came.
    func ask(_ loop: ProxyLoop, _ completion: @escaping (ComparedAnswer?) -> Void) {
        guard let attempt else { return completion(nil) }
        self.completion = completion
        began = time.now()
        timer = loop.eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(nanoseconds)
        ) { [self] in
            fail("no answer within \(DurationLabel.of(.nanoseconds(nanoseconds)))")
        }
        let connections = loop.connections(to: pool.members[attempt.member])
        if let idle = connections.takeIdle() { return send(idle) }
        connections.connect { [self] result in
            switch result {
            case .success(let connection):
                if self.completion == nil {
                    connection.giveBack()
                } else {
                    send(connection)
                }
            case .failure(let failure): fail(failure.message)
            }
        }
    }

    private func fail(_ reason: String) {
        failure = reason
        end(whole: false)
    }

    private func send(_ connection: UpstreamConnection) {
        self.connection = connection
        connection.begin(self, method: method)
        unsafe request.withUnsafeBytes { unsafe connection.send($0) }
        connection.endRequest()
    }

    private func end(whole: Bool) {
        guard let completion else { return }
        self.completion = nil
        timer?.cancel()
        timer = nil
        let now = time.now()
        if let attempt {
            pool.finish(attempt, whole && collector.status < 500 ? .success : .neutral, at: now)
            self.attempt = nil
        }
        if let connection, connection.user === self { connection.cancel() }
        connection = nil
        completion(whole ? collector.answer(from: began, to: now) : nil)
    }

    func upstreamAnswered(_ head: HTTPResponseHead, _ connection: UpstreamConnection) {
        collector.begin(head)
    }

    func upstreamSent(body bytes: UnsafeRawBufferPointer, _ connection: UpstreamConnection) {
        unsafe collector.add(bytes, at: time.now())
        if collector.isTooLong {
            fail("an answer of more than \(AnswerCollector.bytesMax) bytes")
        }
    }

    func upstreamFinished(_ connection: UpstreamConnection) { end(whole: true) }
    func upstreamFailed(_ failure: UpstreamFailure, _ connection: UpstreamConnection) {
        fail(failure.message)
    }
    func upstreamPaused(_ connection: UpstreamConnection) {}
    func upstreamDrained(_ connection: UpstreamConnection) {}
}

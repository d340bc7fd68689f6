// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire

/// The upstream's answer on its way to the client: head rewritten, body as it comes, one send per
/// receive.
extension ClientConnection: UpstreamUser {
    /// A stream's first bytes that are kept back until its first event shows whether it failed.
    static let heldBytesMax = 16 << 10

    func upstreamAnswered(_ head: HTTPResponseHead, _ connection: UpstreamConnection) {
        guard connection === exchange.connection else { return }
        let status = exchange.isGRPC ? callStatus(head) : head.status
        if exchange.cascade != nil, status != 200 {
            return attemptHasFailed(
                AttemptFailure(.status(status), "the upstream answered \(status)"))
        }
        if AttemptFailure.mayRetry(status: status) {
            let failure = AttemptFailure(
                .status(status), "the upstream answered \(status)",
                retryAfter: status == 429 || status == 503 ? retryAfter(head) : nil)
            if canGoOn(after: failure) { return attemptHasFailed(failure) }
        }
        exchange.status = status
        takeLoad(head)
        exchange.connection = connection
        let now = shared.time.now()
        exchange.firstByte = now
        let type = head.fields.range(.contentType)
        exchange.isEventStream = type.map { begins($0, with: "text/event-stream", head) } ?? false
        exchange.isCoded = head.fields.isCoded
        exchange.checksEvents = false
        exchange.leavesOutUsage = false
        if exchange.isEventStream {
            exchange.events.reset(choices: exchange.members.choiceCount)
            exchange.checksEvents =
                !exchange.isCoded && connection.identity.dialect == .openai
                && TokenRoute(path: knownPath).endsStreams
            exchange.leavesOutUsage = exchange.checksEvents && exchange.usageQuestion != nil
        }
        exchange.readsUsage =
            !exchange.isEventStream && head.status == 200 && !exchange.isCoded
            && connection.identity.dialect == .openai
        if exchange.isCoded { giveUpReading() }
        if exchange.readsUsage {
            exchange.usageScanner.reset()
            if case .length(let count) = head.framing {
                exchange.answerLength = count
            } else {
                exchange.answerLength = nil
            }
        }
        if exchange.isShadowed { exchange.answer.begin(head) }
        exchange.cascade?.answer.begin(head)
        if caching != nil { beginRecording(head) }
        if exchange.cascade != nil || exchange.checksEvents, head.status == 200,
            exchange.isReplayable
        {
            exchange.stage = .holding
            makeHead(head)
            unsafe exchange.held.append(contentsOf: loop.scratch.bytes)
            loop.scratch.removeAll()
        } else {
            exchange.stage = .answering
            makeHead(head)
            waitForAnswer(from: now)
        }
    }

    /// Whether another attempt or a fallback is left for a request that failed so.
    private func canGoOn(after failure: AttemptFailure) -> Bool {
        guard let pool = exchange.pool, let runtime = exchange.runtime,
            failure.mayRetry(isRepeatable: isRepeatable(), isReplayable: exchange.isReplayable)
        else { return false }
        if exchange.attempts < pool.policy.attempts,
            pool.members.count > 1 || failure.retryAfter ?? .zero <= RetryDelay().retryAfterMax
        {
            return true
        }
        if hasLastResort { return true }
        return hasFallback(runtime)
    }

    /// Some servers say with each answer how busy they are.
    private func takeLoad(_ head: HTTPResponseHead) {
        guard let pool = exchange.pool, pool.policy.load != nil, let member = exchange.member,
            let range = head.fields.range(.loadMetrics),
            let report = LoadReport(header: Array(head.fields.bytes[range]))
        else { return }
        pool.report(member, report, at: shared.time.now())
    }

    private func retryAfter(_ head: HTTPResponseHead) -> Duration? {
        head.fields.range(.retryAfter).flatMap { head.fields.decimal($0) }
            .map { .seconds(min($0, 86_400)) }
    }

    private func begins(
        _ range: Range<Int>, with word: StaticString, _ head: HTTPResponseHead
    ) -> Bool {
        range.count >= word.utf8CodeUnitCount
            && head.fields.matches(
                range.lowerBound..<range.lowerBound + word.utf8CodeUnitCount, word)
    }

    /// Puts the answer's head together as the client gets it.
    private func makeHead(_ head: HTTPResponseHead) {
        exchange.isChunked = false
        exchange.endsWithClose = false
        if let stream { return keepHead(head, for: stream) }
        appendStatus(head.status)
        _ = head.fields.appendForwarded(
            to: &loop.scratch, keepsAuthorization: true, isRequest: false)
        switch head.framing {
        case .none:
            if let length = head.fields.range(.contentLength),
                let count = head.fields.decimal(length)
            {
                appendLength(count)
            }
        // Something may be added to a stream, or left out.
        case .length(let count) where !exchange.checksEvents: appendLength(count)
        case .length, .chunked, .untilClose:
            if exchange.isOldVersion {
                exchange.endsWithClose = true
            } else {
                exchange.isChunked = true
                loop.scratch.append("Transfer-Encoding: chunked\r\n")
            }
        }
        if exchange.cacheResult != nil { loop.scratch.append("X-Cache: miss\r\n") }
        loop.scratch.append("X-Request-Id: ")
        appendRequestID(to: &loop.scratch)
        if shared.isDraining || !exchange.isBodyComplete { exchange.keepsAlive = false }
        if exchange.endsWithClose { exchange.keepsAlive = false }
        if !exchange.keepsAlive {
            loop.scratch.append("\r\nConnection: close\r\n\r\n")
        } else if exchange.isOldVersion {
            loop.scratch.append("\r\nConnection: keep-alive\r\n\r\n")
        } else {
            loop.scratch.append("\r\n\r\n")
        }
    }

    private func appendStatus(_ status: Int) {
        if status == 200 { return loop.scratch.append("HTTP/1.1 200 OK\r\n") }
        loop.scratch.append(contentsOf: HTTPHeadWriter(status: status).bytes)
    }

    private func appendLength(_ count: Int) {
        loop.scratch.append("Content-Length: ")
        loop.scratch.append(decimal: count)
        loop.scratch.append("\r\n")
    }

    func upstreamSent(trailers lines: [UInt8], _ connection: UpstreamConnection) {
        guard connection === exchange.connection, let stream else { return }
        if exchange.isGRPC { exchange.status = callStatus(trailers: lines) }
        stream.take(trailers: lines)
    }

    func upstreamSent(body: UnsafeRawBufferPointer, _ connection: UpstreamConnection) {
        guard connection === exchange.connection else { return }
        exchange.answerBytes += body.count
        if exchange.isEventStream {
            if exchange.leavesOutUsage { return unsafe relayWithoutUsage(body) }
            if !exchange.isCoded { unsafe exchange.events.read(body) }
        } else if exchange.readsUsage {
            if exchange.answerLength == body.count {
                unsafe exchange.usageScanner.readWhole(body)
            } else {
                unsafe exchange.usageScanner.read(body)
            }
        }
        unsafe compare(body)
        unsafe passOn(body)
    }

    @inline(__always)
    func compare(_ body: UnsafeRawBufferPointer) {
        if exchange.isShadowed { unsafe keepForShadow(body) }
        if exchange.cascade != nil {
            unsafe exchange.cascade?.answer.add(body, at: shared.time.now())
        }
    }

    /// Takes some of the body as the client gets it.
    @inline(__always)
    func passOn(_ body: UnsafeRawBufferPointer) {
        if exchange.semantic != nil { unsafe keepForSemanticCache(body) }
        if caching != nil { unsafe record(body) }
        if exchange.stage == .holding {
            if exchange.isChunked {
                unsafe ChunkedEncoder.append(body, to: &exchange.held)
            } else {
                unsafe exchange.held.append(contentsOf: body)
            }
        } else {
            unsafe append(body)
        }
    }

    private func append(_ body: UnsafeRawBufferPointer) {
        if exchange.isChunked {
            unsafe ChunkedEncoder.append(body, to: &loop.scratch)
        } else {
            unsafe loop.scratch.append(contentsOf: body)
        }
    }

    /// Adds text of the gateway's own to the answer's body.
    private func append(_ text: [UInt8]) {
        unsafe text.withUnsafeBytes { unsafe append($0) }
    }

    func upstreamPaused(_ connection: UpstreamConnection) {
        guard connection === exchange.connection else { return }
        if exchange.stage == .holding {
            if exchange.cascade != nil {
                guard exchange.held.count > CascadeTurn.heldBytesMax else { return }
                acceptCascade()
            }
            guard hasShown(), !hasFailedAtOnce() else { return }
            release()
        }
        guard exchange.stage == .answering,
            !loop.scratch.isEmpty || stream?.hasUnsentHead ?? false
        else { return }
        if !holdsUpstream { waitForAnswer() }
        flushScratch()
    }

    /// The stream's first event is an error: as good as a bad status. True when that was dealt
    /// with.
    private func hasFailedAtOnce() -> Bool {
        guard exchange.isEventStream, exchange.events.hasFailed else { return false }
        let failure = AttemptFailure(.broken, "the upstream's stream began with an error")
        guard canGoOn(after: failure) else { return false }
        attemptHasFailed(failure)
        return true
    }

    private func release() {
        exchange.stage = .answering
        loop.scratch.append(contentsOf: exchange.held)
        exchange.held.removeAll(keepingCapacity: true)
    }

    func upstreamFinished(_ connection: UpstreamConnection) {
        guard connection === exchange.connection else { return }
        if exchange.stage == .holding {
            if let turn = exchange.cascade {
                guard isSureEnough(turn) else {
                    endAttempt(outcome)
                    exchange.connection = nil
                    return escalate(turn)
                }
                acceptCascade()
            }
            guard !hasFailedAtOnce() else { return }
            if exchange.checksEvents, exchange.events.ending == .cut {
                return attemptHasFailed(
                    AttemptFailure(.broken, "the upstream's stream ended in the middle"))
            }
            release()
        }
        passOnHeld()
        if exchange.checksEvents, exchange.status == 200 {
            switch exchange.events.ending {
            case .done, .failed: break
            case .finishedWithoutDone:
                append(Array("data: [DONE]\n\n".utf8))
            case .cut: return cut("the upstream's stream ended in the middle")
            }
        }
        endAttempt(exchange.events.hasFailed && exchange.isEventStream ? .failure : outcome)
        caching?.isWhole = !(exchange.isEventStream && exchange.events.hasFailed)
        if exchange.isChunked { ChunkedEncoder.appendEnd(to: &loop.scratch) }
        // A stream sends a head that nothing follows with its end.
        if !loop.scratch.isEmpty { flushScratch() }
        finishExchange(
            keepsAlive: exchange.keepsAlive && exchange.isBodyComplete, lingers: true)
    }

    private var outcome: CircuitBreaker.Outcome {
        exchange.status >= 500 ? .failure : exchange.status == 429 ? .neutral : .success
    }

    private func endAttempt(_ outcome: CircuitBreaker.Outcome) {
        guard let attempt = exchange.attempt else { return }
        exchange.attempt = nil
        exchange.pool?.finish(attempt, outcome, at: shared.time.now())
    }

    func upstreamFailed(_ failure: UpstreamFailure, _ connection: UpstreamConnection) {
        guard connection === exchange.connection else { return }
        switch exchange.stage {
        case .asked, .holding, .waiting:
            let kind: AttemptFailure.Kind
            switch failure {
            case .cannotConnect: kind = .connect
            case .noAnswer: kind = .noAnswer
            case .broken: kind = .broken
            }
            attemptHasFailed(AttemptFailure(kind, failure.message))
        case .answering:
            let failure = AttemptFailure(.broken, failure.message)
            exchange.lastFailure = failure
            loop.noteFailure(failure, of: self)
            cut("the answer broke off (request \(requestIDText))")
        case .collecting, .over: break
        }
    }

    func upstreamDrained(_ connection: UpstreamConnection) {
        guard connection === exchange.connection, isBodyHeld else { return }
        isBodyHeld = false
        process()
    }

    /// Nothing has come of the answer for too long.
    func answerHasStalled() {
        guard isInRequest, exchange.stage == .answering else { return }
        cut("the upstream's answer stands still")
    }

    /// The answer ends in the middle. The client must see that: streams get an error event, and in
    /// every case the connection ends before the answer does.
    private func cut(_ reason: String) {
        loop.metrics.cutAnswers += 1
        exchange.isCut = true
        giveUpAttempt(.failure)
        caching?.failure = CacheFailure(code: "upstream_stream_cut", message: reason)
        if let stream, exchange.isGRPC { return cutCall(reason, on: stream) }
        if exchange.isEventStream, exchange.status == 200, !exchange.isCoded {
            append(
                StreamCutEvent.text(
                    TokenRoute(path: knownPath), code: "upstream_stream_cut", message: reason,
                    number: exchange.events.eventCount))
        }
        flushScratch()
        finishExchange(keepsAlive: false, lingers: false)
    }

    /// The client is gone: the upstream hears of it at once.
    func clientHasGone() {
        guard exchange.stage != .over else { return }
        loop.metrics.gone += 1
        exchange.hasClientLeft = true
        exchange.isCut = true
        caching?.isGone = true
        if exchange.status == 0 { exchange.status = 499 }
        giveUpAttempt(.neutral)
        exchange.stage = .over
        settle()
        exchange.runtime = nil
        exchange.pool = nil
    }
}

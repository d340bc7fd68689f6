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
    private static let heldBytesMax = 16 << 10

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
        let type = head.fields.range(of: "content-type")
        exchange.isEventStream = type.map { begins($0, with: "text/event-stream", head) } ?? false
        exchange.checksEvents =
            exchange.isEventStream && connection.identity.dialect == .openai
            && knownPath.hasSuffix("/completions")
        if exchange.isEventStream { exchange.events.reset() }
        exchange.readsUsage =
            !exchange.isEventStream && head.status == 200
            && connection.identity.dialect == .openai
        if exchange.readsUsage { exchange.usageScanner.reset() }
        if exchange.isShadowed { exchange.answer.begin(head) }
        exchange.cascade?.answer.begin(head)
        if caching != nil { beginRecording(head) }
        if exchange.cascade != nil || exchange.checksEvents, head.status == 200,
            exchange.isReplayable
        {
            exchange.stage = .holding
            var bytes: [UInt8] = []
            swap(&bytes, &exchange.held)
            exchange.held = makeHead(head, behind: bytes)
        } else {
            exchange.stage = .answering
            var bytes: [UInt8] = []
            swap(&bytes, &loop.scratch)
            loop.scratch = makeHead(head, behind: bytes)
            waitForAnswer()
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
        return exchange.fallbackPlace
            < (exchange.triedModels.isEmpty
                ? runtime.snapshot.fallbacks(ofVersion: exchange.version).count
                : exchange.fallbacks.count)
    }

    /// Some servers say with each answer how busy they are.
    private func takeLoad(_ head: HTTPResponseHead) {
        guard let pool = exchange.pool, pool.policy.load != nil, let member = exchange.member,
            let range = head.fields.range(of: "endpoint-load-metrics"),
            let report = LoadReport(header: Array(head.fields.bytes[range]))
        else { return }
        pool.report(member, report, at: shared.time.now())
    }

    private func retryAfter(_ head: HTTPResponseHead) -> Duration? {
        head.fields.range(of: "retry-after").flatMap { head.fields.decimal($0) }
            .map { .seconds(min($0, 86_400)) }
    }

    private func begins(
        _ range: Range<Int>, with word: StaticString, _ head: HTTPResponseHead
    ) -> Bool {
        range.count >= word.utf8CodeUnitCount
            && head.fields.matches(
                range.lowerBound..<range.lowerBound + word.utf8CodeUnitCount, word)
    }

    private func makeHead(
        _ head: HTTPResponseHead, behind bytes: consuming [UInt8]
    ) -> [UInt8] {
        if let stream {
            exchange.isChunked = false
            exchange.endsWithClose = false
            keepHead(head, for: stream)
            return bytes
        }
        var writer = HTTPHeadWriter(status: head.status, appendingTo: bytes)
        var line = writer.takeBytes()
        _ = head.fields.appendForwarded(to: &line, keepsAuthorization: true, isRequest: false)
        writer.giveBytes(line)
        exchange.isChunked = false
        exchange.endsWithClose = false
        switch head.framing {
        case .none:
            if let length = head.fields.range(of: "content-length"),
                let count = head.fields.decimal(length)
            {
                writer.field("Content-Length", count)
            }
        case .length(let count): writer.field("Content-Length", count)
        case .chunked, .untilClose:
            if exchange.isOldVersion {
                exchange.endsWithClose = true
            } else {
                exchange.isChunked = true
                writer.field("Transfer-Encoding", "chunked" as StaticString)
            }
        }
        if exchange.cacheResult != nil { writer.field("X-Cache", "miss" as StaticString) }
        writer.field("X-Request-Id", hexadecimal: exchange.requestID)
        if shared.isDraining || !exchange.isBodyComplete { exchange.keepsAlive = false }
        if exchange.endsWithClose { exchange.keepsAlive = false }
        if !exchange.keepsAlive {
            writer.field("Connection", "close" as StaticString)
        } else if exchange.isOldVersion {
            writer.field("Connection", "keep-alive" as StaticString)
        }
        return writer.finish()
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
            unsafe exchange.events.read(body)
        } else if exchange.readsUsage {
            unsafe exchange.usageScanner.read(body)
        }
        if exchange.isShadowed { unsafe keepForShadow(body) }
        if exchange.cascade != nil {
            unsafe exchange.cascade?.answer.add(body, at: shared.time.now())
        }
        if exchange.semantic != nil { unsafe keepForSemanticCache(body) }
        if caching != nil { unsafe record(body) }
        let isChunked = exchange.isChunked
        if exchange.stage == .holding {
            unsafe ClientConnection.append(body, isChunked: isChunked, to: &exchange.held)
        } else {
            unsafe ClientConnection.append(body, isChunked: isChunked, to: &loop.scratch)
        }
    }

    private static func append(
        _ body: UnsafeRawBufferPointer, isChunked: Bool, to bytes: inout [UInt8]
    ) {
        if isChunked {
            unsafe ChunkedEncoder.append(body, to: &bytes)
        } else {
            unsafe bytes.append(contentsOf: body)
        }
    }

    /// Adds text of the gateway's own to the answer's body.
    private func append(_ text: [UInt8]) {
        let isChunked = exchange.isChunked
        unsafe text.withUnsafeBytes {
            unsafe ClientConnection.append($0, isChunked: isChunked, to: &loop.scratch)
        }
    }

    func upstreamPaused(_ connection: UpstreamConnection) {
        guard connection === exchange.connection else { return }
        if exchange.stage == .holding {
            if exchange.cascade != nil {
                guard exchange.held.count > CascadeTurn.heldBytesMax else { return }
                acceptCascade()
            }
            let isShown =
                exchange.events.eventCount > 0
                || exchange.held.count > ClientConnection.heldBytesMax
            guard isShown, !hasFailedAtOnce() else { return }
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
        guard exchange.events.hasFailed else { return false }
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
        case .answering: cut(failure.message)
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
        if exchange.isEventStream, exchange.status == 200 {
            let answer = LocalAnswer.error(502, "upstream_stream_cut", reason)
            append(Array("\n\ndata: ".utf8) + answer.body + Array("\n\n".utf8))
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

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletResilience
internal import MartletWire
internal import NIOCore

/// What a request has to do with its model's kept answers.
struct CacheUse {
    let cache: AnswerCache
    let key: CacheKey
    /// The version whose answer the key stands for; a fallback's is kept for nobody.
    let version: Int
    let leave: CacheLeave
    var flight: AnswerCache.Cache.Flight?
    var waiter: AnswerCache.Cache.Waiter?
    /// The answer as far as it has come; nil: it is not to be kept.
    var record: CachedAnswer?
    /// The upstream allows it to be kept.
    var mayKeep = true
    var isWhole = false
    /// The client went away.
    var isGone = false
    var failure = CacheFailure()
}

extension ClientConnection {
    // MARK: Asking

    /// Looks the request up. True when its answer is here, or another request is getting it.
    func asksCache(_ version: Int, _ runtime: GatewayRuntime) -> Bool {
        guard let cache = runtime.caches[runtime.snapshot.tables.versions[version].model],
            exchange.method == .post, !exchange.isGRPC, exchange.isBodyComplete,
            exchange.isReplayable
        else { return false }
        let control = parser.head.fields["cache-control"]?.lowercased() ?? ""
        guard !control.contains("no-store"),
            let body = try? JSONValue(parsing: exchange.body)
        else { return false }
        let leave = CacheLeave(
            cache.policy, path: knownPath,
            isAsked: parser.head.fields["x-cache"]?.lowercased() == "use", body: body)
        guard leave != .none else { return false }
        let key = cacheKey(version, runtime, cache.policy, body)
        caching = CacheUse(cache: cache, key: key, version: version, leave: leave)
        exchange.cacheResult = .miss
        guard leave == .full else { return false }
        return look(isRefresh: control.contains("no-cache"))
    }

    private func look(isRefresh: Bool) -> Bool {
        guard let use = caching else { return false }
        exchange.attemptNumber &+= 1
        let (number, cache) = (exchange.attemptNumber, use.cache)
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let now = shared.time.now()
        let answer = use.cache.ask(use.key, isRefresh: isRefresh, at: now) { outcome in
            bound.eventLoop.execute {
                bound.value.cacheHasAnswered(outcome, cache, number)
            }
        }
        switch answer {
        case .hit(let answer, let age):
            caching = nil
            loop.metrics.cacheHits += 1
            replay(answer, age: age, .hit)
            return true
        case .lead(let flight):
            caching?.flight = flight
            if !isRefresh, asksSharedCache(use) { return true }
            loop.metrics.cacheMisses += 1
            return false
        case .alone:
            loop.metrics.cacheMisses += 1
            return false
        case .wait(let waiter):
            caching?.waiter = waiter
            exchange.stage = .waiting
            wait(
                .attempt,
                until: min(now.advanced(by: cache.policy.wait), exchange.deadline.instant))
            return true
        }
    }

    /// Whether another replica may have the answer, and was asked for it.
    private func asksSharedCache(_ use: CacheUse) -> Bool {
        guard use.cache.policy.isShared,
            loop.state.find(use.key, for: self, number: exchange.attemptNumber)
        else { return false }
        asking = .cache
        waitForState()
        return true
    }

    /// Another replica has kept the answer; false when it is too old.
    func takeShared(_ answer: CachedAnswer, age: Duration) -> Bool {
        guard let use = caching, age < use.cache.policy.limits.timeToLive else { return false }
        let now = shared.time.now()
        if let flight = use.flight {
            use.cache.succeed(
                flight, answer, isCacheable: true, made: now.advanced(by: .zero - age))
        }
        caching = nil
        loop.metrics.cacheHits += 1
        replay(answer, age: age, .hit)
        return true
    }

    /// The request that asked for all has ended.
    private func cacheHasAnswered(
        _ outcome: AnswerCache.Outcome, _ cache: AnswerCache, _ number: UInt64
    ) {
        guard number == exchange.attemptNumber, exchange.stage == .waiting, isInRequest,
            caching?.waiter != nil
        else {
            if case .lead(let flight) = outcome { cache.abandon(flight) }
            return
        }
        caching?.waiter = nil
        switch outcome {
        case .answer(let answer):
            caching = nil
            loop.metrics.cacheJoined += 1
            replay(answer, age: .zero, .joined)
        case .failure(let failure):
            if !answerLastResort() { fail(failure.status, failure.code, failure.message) }
        case .lead(let flight):
            loop.metrics.cacheMisses += 1
            caching?.flight = flight
            beginAttempts()
        case .alone:
            loop.metrics.cacheMisses += 1
            beginAttempts()
        }
    }

    /// Another's answer takes too long: the request asks for itself. False when it waits for none.
    func stopsWaitingForCache() -> Bool {
        guard let use = caching, let waiter = use.waiter else { return false }
        guard use.cache.cancel(waiter) else { return true }
        caching?.waiter = nil
        loop.metrics.cacheMisses += 1
        beginAttempts()
        return true
    }

    /// Everything that the answer depends on.
    private func cacheKey(
        _ version: Int, _ runtime: GatewayRuntime, _ policy: CachePolicy, _ body: JSONValue
    ) -> CacheKey {
        let tables = runtime.snapshot.tables
        let described = tables.versions[version]
        let fields = parser.head.fields
        var parameters: [(name: String, value: String)] = [
            ("?", fields.string(parser.head.query)), ("pool", tables.pools[described.pool].name),
            ("remote", described.remoteModel),
        ]
        for name in ["accept", "accept-encoding", "content-type"] + policy.vary {
            if let value = fields.value(named: name) { parameters.append((name, value)) }
        }
        if !runtime.access.requiresKey {
            // The upstream knows clients by these: nobody gets another's answer.
            for name in ["authorization", "x-api-key", "cookie"] {
                guard let value = fields.value(named: name) else { continue }
                parameters.append((name, Digest.sha256(Array(value.utf8)).hexadecimal))
            }
        }
        return CacheKey(
            tenant: cacheScope(runtime), model: tables.models[described.model].name,
            version: described.label, path: knownPath, parameters: parameters, body: body)
    }

    /// Whose answers these are: a tenant's, or a key's that has none.
    func cacheScope(_ runtime: GatewayRuntime) -> String {
        if let tenant = exchange.tenant(runtime) { return "tenant/\(tenant)" }
        if let identity = exchange.identity {
            return "subject/\(exchange.key ?? -1)/\(identity.subject ?? "")"
        }
        return exchange.key.map { "key/\(runtime.access.keys[$0].name)" } ?? ""
    }

    // MARK: Recording

    func beginRecording(_ head: HTTPResponseHead) {
        guard let use = caching, use.waiter == nil else { return }
        var answer = CachedAnswer(status: head.status)
        _ = head.fields.appendForwarded(
            to: &answer.lines, keepsAuthorization: true, isRequest: false)
        answer.isEventStream = exchange.isEventStream
        let control = head.fields["cache-control"]?.lowercased() ?? ""
        caching?.mayKeep =
            !control.contains("no-store") && !control.contains("private")
            && head.fields["set-cookie"] == nil && head.framing != .untilClose
        caching?.record = answer
    }

    func record(_ bytes: UnsafeRawBufferPointer) {
        guard let record = caching?.record, let use = caching else { return }
        guard record.byteCount + bytes.count <= use.cache.policy.limits.entryBytesMax else {
            caching?.record = nil
            if let flight = use.flight { use.cache.release(flight) }
            caching?.flight = nil
            return
        }
        unsafe caching?.record?.body.append(contentsOf: bytes)
    }

    /// The exchange is over: what was recorded is kept and told.
    func endCaching(at now: MonotonicInstant) {
        guard let use = caching else { return }
        caching = nil
        if let waiter = use.waiter {
            _ = use.cache.cancel(waiter)
            return
        }
        if use.isWhole, let answer = use.record {
            let isGood =
                answer.status == 200 && use.mayKeep && exchange.version == use.version
                && !answer.tellsOfError
            if let flight = use.flight {
                use.cache.succeed(flight, answer, isCacheable: isGood, made: now)
            } else if isGood {
                use.cache.put(use.key, answer, made: now)
            }
            if isGood, use.leave == .full, use.cache.policy.isShared {
                loop.state.keep(use.key, answer, for: use.cache.policy.limits.timeToLive)
            }
        } else if let flight = use.flight {
            if use.isGone || exchange.deadline.isPast(at: now) {
                use.cache.abandon(flight)
            } else if exchange.status < 400, !exchange.isFixed {
                // It was answered from elsewhere, which is nobody else's answer.
                use.cache.release(flight)
            } else {
                use.cache.fail(flight, use.failure)
            }
        }
    }

    // MARK: Answering

    /// Whether something is left to answer with when nobody can.
    var hasLastResort: Bool {
        guard let runtime = exchange.runtime, exchange.version >= 0 else { return false }
        let tables = runtime.snapshot.tables
        if let use = caching, use.cache.stale(use.key, at: shared.time.now()) != nil {
            return true
        }
        return tables.models[tables.versions[exchange.version].model].fallbackAnswer != nil
    }

    /// Nobody can answer: an answer from before does, or a fixed one. False when there is neither.
    func answerLastResort() -> Bool {
        guard let runtime = exchange.runtime, exchange.version >= 0 else { return false }
        if let use = caching, let (answer, age) = use.cache.stale(use.key, at: shared.time.now()) {
            loop.metrics.cacheStale += 1
            if let flight = use.flight { use.cache.release(flight) }
            caching = nil
            replay(answer, age: age, .stale)
            return true
        }
        let tables = runtime.snapshot.tables
        let model = tables.models[tables.versions[exchange.version].model]
        guard let fixed = model.fallbackAnswer else { return false }
        loop.metrics.fallbacks += 1
        exchange.isFixed = true
        answer(
            LocalAnswer(
                status: fixed.status, contentType: nil, body: fixed.body,
                fields: [("Content-Type", fixed.contentType), ("X-Fallback", "fixed")]))
        return true
    }

    private func replay(_ answer: CachedAnswer, age: Duration, _ result: CacheResult) {
        exchange.cacheResult = result
        exchange.status = answer.status
        exchange.stage = .answering
        exchange.firstByte = shared.time.now()
        exchange.isEventStream = answer.isEventStream
        if let stream { return replay(answer, age: age, result, on: stream) }
        if shared.isDraining { exchange.keepsAlive = false }
        let isChunked = answer.isEventStream && !exchange.isOldVersion
        if answer.isEventStream, exchange.isOldVersion { exchange.keepsAlive = false }
        var writer = HTTPHeadWriter(status: answer.status)
        writer.lines(answer.lines)
        if isChunked {
            writer.field("Transfer-Encoding", "chunked" as StaticString)
        } else if !answer.isEventStream {
            writer.field("Content-Length", answer.body.count)
        }
        writer.field("Age", Int(age.nanosecondsSaturating / 1_000_000_000))
        writer.field("X-Cache", result.rawValue)
        addRequestID(to: &writer)
        if !exchange.keepsAlive {
            writer.field("Connection", "close" as StaticString)
        } else if exchange.isOldVersion {
            writer.field("Connection", "keep-alive" as StaticString)
        }
        loop.scratch.append(contentsOf: writer.finish())
        if isChunked {
            unsafe answer.body.withUnsafeBytes {
                unsafe ChunkedEncoder.append($0, to: &loop.scratch)
            }
            ChunkedEncoder.appendEnd(to: &loop.scratch)
        } else {
            loop.scratch.append(contentsOf: answer.body)
        }
        exchange.answerBytes = answer.body.count
        flushScratch()
        finishExchange(keepsAlive: exchange.keepsAlive && exchange.isBodyComplete, lingers: true)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire

extension ClientConnection {
    /// The exchange is over: limits get back what was not used, accounts and metrics what was.
    func settle() {
        let now = shared.time.now()
        asking = nil
        forgetPlace()
        let usage = usage()
        if let held = holds.take() {
            let used = (usage?.total ?? 0).addingSaturating(exchange.usedBefore)
            loop.state.settle(held, usedTokens: used, at: now)
        }
        if let held = fallbackHolds.take() {
            loop.state.settle(held, usedTokens: usage?.total ?? 0, at: now)
        }
        if caching != nil { endCaching(at: now) }
        let taken = exchange.began.nanoseconds(to: now)
        let counters = loop.metrics.counters(exchange.version, exchange.runtime)
        counters.record(status: exchange.status, nanoseconds: taken)
        if let first = exchange.firstByte {
            counters.recordFirstByte(nanoseconds: exchange.began.nanoseconds(to: first))
        }
        if let usage, let runtime = exchange.runtime {
            chargeBudgets(usage, runtime, at: now)
            counters.add(usage)
            loop.account(
                exchange.key, exchange.version, tenant: exchange.identity?.tenant, runtime
            ).add(usage, price: runtime.snapshot.tables.versions[exchange.version].price)
        }
        if exchange.cacheResult?.isServed ?? false, let runtime = exchange.runtime {
            loop.account(
                exchange.key, exchange.version, tenant: exchange.identity?.tenant, runtime
            ).addCached()
        }
        noteOutcome(at: now)
        settleSemanticCache(at: now)
        startShadow(at: now)
        if let trace = exchange.trace, trace.isSampled { log(trace, nanoseconds: taken) }
        if shared.listen.logsRequests { log(usage, nanoseconds: taken) }
    }

    /// What is billed: what the upstream says it was; without that, an estimate of what reached the
    /// client. Nothing for answers that failed. A request that has nothing to do with tokens still
    /// counts as one.
    func usage() -> TokenUsage? {
        // Without a first byte nobody was asked: the answer is the gateway's own.
        guard exchange.status == 200, exchange.version >= 0, exchange.firstByte != nil,
            !exchange.isFixed, !(exchange.cacheResult?.isServed ?? false)
        else { return nil }
        if exchange.isGRPC { return TokenUsage(input: 0, output: 0) }
        guard exchange.method == .post else { return nil }
        if exchange.isEventStream {
            if let usage = exchange.events.usage { return usage }
        } else if exchange.readsUsage {
            let said = unsafe exchange.usageScanner.withText(0) { unsafe TokenUsage(bytes: $0) }
            if let said { return said }
        }
        return measured()
    }

    private func measured() -> TokenUsage? {
        guard let pool = exchange.pool, let member = exchange.member,
            pool.members[member].dialect == .openai
        else { return TokenUsage(input: 0, output: 0) }
        var measure = AnswerMeasure(route: TokenRoute(path: knownPath))
        measure.inputEstimate = exchange.inputEstimate
        measure.input = exchange.events.inputTokens
        measure.answerBytes = exchange.answerBytes
        measure.isCoded = exchange.isCoded
        measure.reservedOutput = exchange.outputTokensMax ?? reservedOutput
        measure.isEventStream = exchange.isEventStream
        measure.contentEvents = exchange.events.contentEvents
        measure.hasFailed = exchange.isCut || exchange.events.hasFailed
        return measure.usage
    }

    /// What limits reserve for a request that does not say how much it wants.
    private var reservedOutput: Int {
        guard let key = exchange.key, let limiter = exchange.runtime?.keyLimiters[key] else {
            return LimitPolicy().reservedOutput
        }
        return limiter.policy.reservedOutput
    }

    /// The request's place in its trace: the same for all its attempts.
    func trace(_ given: Range<Int>?, _ source: [UInt8]) -> TraceContext {
        if let known = exchange.trace { return known }
        let id = exchange.requestID
        let isSampled = Int((id >> 20) % 1_000_000) < shared.listen.tracedShare
        let trace =
            given.flatMap { TraceContext(source[$0], id: id) }
            ?? TraceContext(id: id, isSampled: isSampled)
        exchange.trace = trace
        return trace
    }

    /// The request's span, for whoever collects spans from logs.
    private func log(_ trace: TraceContext, nanoseconds: Int64) {
        guard shared.logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "trace_id": "\(RequestIDText.of(trace.high))\(RequestIDText.of(trace.low))",
            "span_id": "\(RequestIDText.of(trace.span))",
            "name": "\(requestMethod) \(knownPath)", "kind": "server",
            "status": "\(exchange.status)", "attempts": "\(exchange.attempts)",
            "duration_us": "\(nanoseconds / 1_000)",
        ]
        if trace.parent != 0 { metadata["parent_id"] = "\(RequestIDText.of(trace.parent))" }
        if let pool = exchange.pool, let member = exchange.member {
            metadata["upstream"] = "\(pool.members[member].name)"
        }
        if let first = exchange.firstByte {
            metadata["first_byte_us"] = "\(exchange.began.nanoseconds(to: first) / 1_000)"
        }
        shared.logger.info("span", metadata: metadata)
    }

    private func log(_ usage: TokenUsage?, nanoseconds: Int64) {
        guard shared.logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "request_id": "\(requestIDText)",
            "method": "\(requestMethod)", "path": "\(knownPath)",
            "status": "\(exchange.status)", "bytes": "\(exchange.answerBytes)",
            "milliseconds": "\(Double(nanoseconds / 1_000) / 1_000)",
        ]
        if let runtime = exchange.runtime {
            let tables = runtime.snapshot.tables
            if exchange.version >= 0 {
                let version = tables.versions[exchange.version]
                metadata["model"] = "\(tables.models[version.model].name)"
                metadata["version"] = "\(version.label)"
            }
            if let rule = exchange.decision.rule, exchange.version >= 0 {
                metadata["route"] = "\(tables.rules[rule].name)"
            }
            if let split = exchange.decision.split, exchange.version >= 0,
                let experiment = tables.splits[split].experiment
            {
                metadata["experiment"] = "\(experiment)"
            }
            if let pool = exchange.pool, let member = exchange.member {
                metadata["upstream"] = "\(pool.members[member].name)"
            }
            if let key = exchange.key { metadata["key"] = "\(runtime.access.keys[key].name)" }
        }
        if exchange.retries > 0 { metadata["retries"] = "\(exchange.retries)" }
        if let failure = exchange.lastFailure { metadata["failure"] = "\(failure.message)" }
        if let result = exchange.cacheResult { metadata["cache"] = "\(result.rawValue)" }
        if exchange.isCut { metadata["cut"] = "true" }
        if let usage {
            metadata["input_tokens"] = "\(usage.input)"
            metadata["output_tokens"] = "\(usage.output)"
        }
        shared.logger.info("request", metadata: metadata)
    }
}

/// Request ids as they are written.
enum RequestIDText {
    static func of(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

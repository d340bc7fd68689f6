// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire
internal import NIOCore

extension ClientConnection {
    // MARK: Asking

    /// Asks one member of the pool.
    func attempt(isFirst: Bool, freshTo member: Int? = nil, holdsPlace: Bool = false) {
        guard let pool = exchange.pool else { return }
        let now = shared.time.now()
        exchange.attemptNumber &+= 1
        exchange.isOnFresh = member != nil
        if holdsPlace, exchange.deadline.isPast(at: now) { pool.leave(at: now) }
        if exchange.deadline.isPast(at: now) {
            return attemptHasFailed(AttemptFailure(.timeout, "the request's own time is over"))
        }
        let choice = member.map { PoolState.Choice.preferred($0) } ?? choice(pool, at: now)
        let beginning = pool.begin(
            choice, tried: exchange.tried, isFirst: isFirst && member == nil,
            holdsPlace: holdsPlace, priority: exchange.priority, at: now, using: &loop.random)
        guard case .attempt(let attempt) = beginning else {
            return hasNotBegun(beginning, pool, member)
        }
        exchange.attempt = attempt
        exchange.member = attempt.member
        if pool.policy.balance == .prefix {
            pool.remember(
                exchange.body, from: PromptPlace.start(exchange.body), salt: promptSalt,
                at: attempt.member)
        }
        if member == nil { exchange.attempts += 1 }
        exchange.stage = .waiting
        let identity = pool.members[attempt.member]
        wait(.attempt, until: limit(pool, from: now))
        let connections = loop.connections(to: identity)
        if member == nil, let idle = connections.takeIdle() {
            return ask(idle, at: now)
        }
        let number = exchange.attemptNumber
        connections.connect { [handle] result in
            unsafe handle.client?.hasConnected(result, number)
                ?? ClientConnection.giveBack(result)
        }
    }

    private static func giveBack(_ result: Result<UpstreamConnection, UpstreamFailure>) {
        if case .success(let connection) = result { connection.giveBack() }
    }

    private func hasConnected(
        _ result: Result<UpstreamConnection, UpstreamFailure>, _ number: UInt64
    ) {
        guard number == exchange.attemptNumber, exchange.stage == .waiting, isInRequest else {
            return ClientConnection.giveBack(result)
        }
        switch result {
        case .success(let connection): ask(connection, at: shared.time.now())
        case .failure(let failure): attemptHasFailed(AttemptFailure(.connect, failure.message))
        }
    }

    /// Models (and with them adapters) have caches of their own.
    private var promptSalt: UInt64 { StableHash.hash(exchange.modelName ?? "", salt: 1) }

    private func choice(_ pool: PoolRuntime, at now: MonotonicInstant) -> PoolState.Choice {
        switch pool.policy.balance {
        case .leastLoaded: return .leastLoaded
        case .powerOfTwo: return .powerOfTwo
        case .weighted: return .weighted
        case .hash:
            guard let runtime = exchange.runtime,
                let source = runtime.keySources[
                    runtime.snapshot.tables.versions[exchange.version].pool],
                let value = value(source, runtime)
            else { return .leastLoaded }
            return .hash(StableHash.hash(value, salt: 0))
        case .lora:
            guard let runtime = exchange.runtime,
                let name = runtime.keySources[
                    runtime.snapshot.tables.versions[exchange.version].pool
                ].flatMap({ value($0, runtime) })
                    ?? runtime.snapshot.adapter(
                        named: exchange.modelName, version: exchange.version)
            else { return .leastLoaded }
            return .adapter(name)
        case .prefix:
            return pool.prefer(
                exchange.body, from: PromptPlace.start(exchange.body), salt: promptSalt, at: now)
        }
    }

    // MARK: Sending

    private func ask(_ connection: UpstreamConnection, at now: MonotonicInstant) {
        guard exchange.isGRPC == (connection.identity.dialect == .grpc) else {
            connection.giveBack()
            giveUpAttempt(.neutral)
            return fail(
                501, "other_protocol",
                exchange.isGRPC
                    ? "the model is not asked by gRPC here" : "the model is asked by gRPC only")
        }
        exchange.connection = connection
        exchange.stage = .asked
        connection.begin(self, method: exchange.method)
        var bytes = WireBuffer()
        swap(&bytes, &loop.scratch)
        compose(for: connection.identity, at: now, into: &bytes)
        unsafe connection.send(bytes.bytes)
        bytes.removeAll()
        if loop.scratch.isEmpty { swap(&bytes, &loop.scratch) }
        if exchange.isBodyComplete {
            connection.endRequest()
        } else {
            if exchange.body.count > shared.listen.keptBytesMax {
                exchange.isReplayable = false
                exchange.body = []
            }
            holdBodyIfNeeded(connection)
            if !isBodyHeld { process() }
        }
    }

    /// Writes the request as far as it has come.
    private func compose(
        for identity: UpstreamIdentity, at now: MonotonicInstant, into bytes: inout WireBuffer
    ) {
        let rename = renaming(to: exchange.version, at: identity)
        let deadline = exchange.deadline
        let isCompared = exchange.isShadowed || exchange.cascade != nil
        takeUsageQuestion(for: identity)
        parser.readHead {
            isRequestChunked = composeHead(
                $0, identity, rename, isCompared: isCompared, deadline: deadline, at: now,
                into: &bytes)
        }
        exchange.renamer = exchange.isGRPC ? rename.map(messageRenamer) : nil
        if isRequestChunked {
            let body = renamed(exchange.body)
            unsafe body.withUnsafeBytes { unsafe ChunkedEncoder.append($0, to: &bytes) }
            if exchange.isBodyComplete { ChunkedEncoder.appendEnd(to: &bytes) }
        } else if exchange.usageQuestion != nil {
            appendBody(rename, to: &bytes)
        } else if let rename, let range = rename.range {
            bytes.append(0..<range.lowerBound, of: exchange.body)
            bytes.append(contentsOf: rename.quoted)
            bytes.append(range.upperBound..<exchange.body.count, of: exchange.body)
        } else {
            bytes.append(contentsOf: exchange.body)
        }
    }

    /// What the model is called at the upstream, when that is not what the client calls it.
    func renaming(to version: Int, at identity: UpstreamIdentity) -> ModelRenaming? {
        guard let runtime = exchange.runtime, let name = exchange.modelName else { return nil }
        let remote =
            identity.localModel ?? runtime.snapshot.tables.versions[version].remoteModel
        guard remote != name, !runtime.snapshot.isAdapter(name, ofVersion: version) else {
            return nil
        }
        return ModelRenaming(
            to: remote, range: exchange.scansBody ? exchange.modelRange : nil,
            isInMessages: exchange.isGRPC)
    }

    /// Passes on body bytes that come while the upstream has the request.
    func forward(body bytes: UnsafeRawBufferPointer) {
        guard let connection = exchange.connection else { return }
        if exchange.renamer != nil {
            var messages: [UInt8] = []
            unsafe exchange.renamer?.append(bytes, to: &messages)
            var chunk: [UInt8] = []
            unsafe messages.withUnsafeBytes { unsafe ChunkedEncoder.append($0, to: &chunk) }
            unsafe chunk.withUnsafeBytes { unsafe connection.send($0) }
        } else if isRequestChunked {
            var chunk: [UInt8] = []
            unsafe ChunkedEncoder.append(bytes, to: &chunk)
            unsafe chunk.withUnsafeBytes { unsafe connection.send($0) }
        } else {
            unsafe connection.send(bytes)
        }
        holdBodyIfNeeded(connection)
    }

    private func holdBodyIfNeeded(_ connection: UpstreamConnection) {
        isBodyHeld = connection.waitingBytes > ClientConnection.waitingBytesMax
    }

    func endForwardedBody() {
        guard let connection = exchange.connection else { return }
        if isRequestChunked {
            var end: [UInt8] = []
            ChunkedEncoder.appendEnd(to: &end)
            unsafe end.withUnsafeBytes { unsafe connection.send($0) }
        }
        connection.endRequest()
        if exchange.stage == .asked { waitForAnswer() }
    }

    func waitForAnswer() { waitForAnswer(from: shared.time.now()) }

    func waitForAnswer(from now: MonotonicInstant) {
        guard let pool = exchange.pool else { return }
        wait(exchange.stage == .answering ? .stall : .attempt, until: limit(pool, from: now))
    }

    private func limit(_ pool: PoolRuntime, from now: MonotonicInstant) -> MonotonicInstant {
        let (sum, overflow) = now.nanoseconds.addingReportingOverflow(pool.timeoutNanoseconds)
        let limit = MonotonicInstant(nanoseconds: overflow ? .max : sum)
        if let turn = exchange.cascade {
            return min(limit, exchange.deadline.instant, turn.limit)
        }
        return min(limit, exchange.deadline.instant)
    }

    // MARK: Failing

    func attemptIsLate() {
        if stateIsLate() || stopsWaitingForCache() || stopsWaitingForPlace() { return }
        switch exchange.stage {
        case .waiting, .asked, .holding:
            let isOver = exchange.deadline.isPast(at: shared.time.now())
            attemptHasFailed(
                AttemptFailure(
                    .timeout,
                    isOver ? "the request's own time is over" : "no answer within the time"))
        default: break
        }
    }

    /// Ends the attempt under way, if there is one, with what it says of the upstream.
    func giveUpAttempt(_ outcome: CircuitBreaker.Outcome, restsFor rest: Duration? = nil) {
        exchange.attemptNumber &+= 1
        if let attempt = exchange.attempt {
            exchange.attempt = nil
            exchange.pool?.finish(attempt, outcome, restsFor: rest, at: shared.time.now())
        }
        if let connection = exchange.connection {
            exchange.connection = nil
            if connection.user === self { connection.cancel() }
        }
        isBodyHeld = false
    }

    /// An attempt has failed before its answer reached the client: again, elsewhere, or not?
    func attemptHasFailed(_ failure: AttemptFailure) {
        let member = exchange.attempt?.member
        let isReset = failure.kind == .noAnswer && exchange.connection?.served ?? 0 > 0
        loop.metrics.failedAttempts += 1
        // A connection that was closed while it was idle says nothing about its upstream.
        giveUpAttempt(isReset ? .neutral : failure.outcome, restsFor: failure.retryAfter)
        // That nobody is left says less than why.
        if failure.kind != .nobody || exchange.lastFailure?.kind != .status(429) {
            exchange.lastFailure = failure
        }
        exchange.held.removeAll(keepingCapacity: true)
        if let turn = exchange.cascade, !exchange.deadline.isPast(at: shared.time.now()) {
            return escalate(turn)
        }
        let isRepeatable = isRepeatable()
        // Once: a server may refuse one stream after the other.
        if isReset, !exchange.isOnFresh, let member, exchange.isReplayable, isRepeatable {
            return attempt(isFirst: false, freshTo: member)
        }
        if let member { exchange.tried.add(member) }
        let now = shared.time.now()
        guard let pool = exchange.pool, !exchange.deadline.isPast(at: now),
            failure.mayRetry(isRepeatable: isRepeatable, isReplayable: exchange.isReplayable)
        else { return giveUp(failure) }
        if failure.kind != .nobody, exchange.attempts < pool.policy.attempts,
            pool.takeRetry(at: now)
        {
            return retry(failure, pool)
        }
        if turnToFallback() { return }
        giveUp(failure)
    }

    func isRepeatable() -> Bool {
        if let known = exchange.isRepeatable { return known }
        let holds = RepeatableRequest.holds(method: requestMethod, path: knownPath)
        exchange.isRepeatable = holds
        return holds
    }

    /// Another member at once; the same one after a wait.
    private func retry(_ failure: AttemptFailure, _ pool: PoolRuntime) {
        loop.metrics.retries += 1
        exchange.retries += 1
        if exchange.tried.count < pool.members.count { return attempt(isFirst: false) }
        exchange.tried = TriedMembers()
        guard
            let wait = RetryDelay().wait(
                number: exchange.attempts, retryAfter: failure.retryAfter, using: &loop.random),
            exchange.deadline.allows(wait: wait, expected: .zero, at: shared.time.now())
        else {
            if !turnToFallback() { giveUp(failure) }
            return
        }
        exchange.stage = .waiting
        waitForNothing()
        exchange.attemptNumber &+= 1
        let number = exchange.attemptNumber
        loop.eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(wait.nanosecondsSaturating)
        ) { [handle] in unsafe handle.client?.retryIsDue(number) }
    }

    private func retryIsDue(_ number: UInt64) {
        guard number == exchange.attemptNumber, isInRequest, exchange.stage == .waiting else {
            return
        }
        attempt(isFirst: false)
    }

    /// Whether a model is left that may stand in.
    func hasFallback(_ runtime: GatewayRuntime) -> Bool {
        let all =
            exchange.triedModels.isEmpty
            ? runtime.snapshot.fallbacks(ofVersion: exchange.version) : exchange.fallbacks
        return all.dropFirst(exchange.fallbackPlace).contains { isAllowed($0, runtime) }
    }

    /// Asks the next model that may stand in, and that the key may use; false when there is none.
    func turnToFallback() -> Bool {
        guard let runtime = exchange.runtime, exchange.version >= 0 else { return false }
        if exchange.triedModels.isEmpty {
            exchange.triedModels = [
                runtime.snapshot.tables.versions[exchange.version].model
            ]
            exchange.fallbacks = runtime.snapshot.fallbacks(ofVersion: exchange.version)
        }
        while exchange.fallbackPlace < exchange.fallbacks.count {
            let model = exchange.fallbacks[exchange.fallbackPlace]
            exchange.fallbackPlace += 1
            guard isAllowed(model, runtime), !exchange.triedModels.contains(model) else {
                continue
            }
            exchange.triedModels.append(model)
            fillRequest(runtime)
            let decision = runtime.snapshot.route(
                fallback: model, loop.routing, draw: exchange.requestID)
            guard case .version(let version) = decision.outcome else { continue }
            if takeFallback(version, model, runtime) { return true }
        }
        return false
    }

    func giveUp(_ failure: AttemptFailure) {
        let failure = failure.kind == .nobody ? exchange.lastFailure ?? failure : failure
        if answerLastResort() { return }
        loop.noteFailure(failure, of: self)
        let message = "\(failure.publicMessage) (request \(requestIDText))"
        let code = failure.kind == .timeout ? "upstream_timeout" : "upstream_unavailable"
        caching?.failure = CacheFailure(
            status: failure.status, code: code, message: message)
        fail(failure.status, code, message, retryAfter: failure.retryAfter)
    }
}

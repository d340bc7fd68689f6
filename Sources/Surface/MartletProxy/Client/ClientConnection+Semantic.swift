// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire

/// Answers a question from memory when one of the same meaning has been answered.
extension ClientConnection {
    /// Whether the request waits for its embedding; `searched` goes on.
    func beginsSemanticSearch(_ version: Int, _ runtime: GatewayRuntime) -> Bool {
        let tables = runtime.snapshot.tables
        let model = tables.models[tables.versions[version].model]
        guard let cache = model.semanticCache, exchange.method == .post, exchange.isBodyComplete,
            exchange.isReplayable, !asksForNoCache(),
            let question = SemanticQuestion(
                body: exchange.body, path: knownPath, holder: holder(version, runtime))
        else { return false }
        let now = shared.time.now()
        let pool = runtime.pools[cache.pool]
        guard
            let attempt = pool.begin(
                .leastLoaded, tried: TriedMembers(), isFirst: true, at: now, using: &loop.random)
        else {
            shared.semantic.hasFailed(model: model.name)
            return false
        }
        let identity = pool.members[attempt.member]
        let call = ShadowCall(
            pool, attempt,
            ClientConnection.embeddingRequest(
                question.embeddingRequest(model: cache.policy.model), identity), .post,
            limit: cache.policy.timeout)
        exchange.stage = .waiting
        waitForNothing()
        exchange.attemptNumber &+= 1
        let number = exchange.attemptNumber
        call.ask(loop) { [handle] answer in
            guard let client = unsafe handle.client, client.isInRequest,
                number == client.exchange.attemptNumber, client.exchange.stage == .waiting
            else { return }
            client.hasEmbedding(answer, question, model.name, cache.policy, version)
        }
        return true
    }

    /// Whose answers may be given to whom: those of the same tenant (or key without one), by the
    /// same version.
    private func holder(_ version: Int, _ runtime: GatewayRuntime) -> String {
        "\(cacheScope(runtime))\n\(runtime.snapshot.tables.versions[version].label)"
    }

    private func asksForNoCache() -> Bool {
        guard let range = parser.head.fields.range(of: "cache-control") else { return false }
        let text = parser.head.fields.string(range).lowercased()
        return text.contains("no-cache") || text.contains("no-store")
    }

    private static func embeddingRequest(
        _ body: [UInt8], _ identity: UpstreamIdentity
    ) -> [UInt8] {
        var bytes = Array("POST ".utf8) + identity.pathPrefix
        bytes += Array("/v1/embeddings HTTP/1.1\r\n".utf8) + identity.hostLine
        if let line = identity.credentialLine { bytes += line }
        bytes += Array(
            "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n".utf8)
        return bytes + body
    }

    private func hasEmbedding(
        _ answer: ComparedAnswer?, _ question: SemanticQuestion, _ model: String,
        _ policy: SemanticCachePolicy, _ version: Int
    ) {
        guard let direction = answer.flatMap(SemanticQuestion.direction) else {
            shared.semantic.hasFailed(model: model)
            return askModel()
        }
        let found = shared.semantic.find(
            question, direction, model: model, policy: policy, at: shared.time.now())
        guard let found else {
            exchange.semantic = SemanticTurn(
                question: question, direction: direction, model: model, policy: policy,
                version: version)
            return askModel()
        }
        // Nobody was asked: there is nothing to compare with.
        exchange.isShadowed = false
        var local = LocalAnswer(status: 200, body: found.kept.body)
        if found.kept.isEventStream { local.contentType = "text/event-stream" }
        let cosine = (found.cosine * 10_000).rounded() / 10_000
        local.fields.append(("X-Martlet-Cache", "semantic; cosine=\(cosine)"))
        self.answer(local)
    }

    /// Whether the answer is the model's: of the version that was decided on, or of the one that
    /// its cascade turns to.
    private func mayKeep(_ turn: SemanticTurn) -> Bool {
        guard exchange.version != turn.version else { return true }
        guard let tables = exchange.runtime?.snapshot.tables,
            let cascade = tables.models[tables.versions[turn.version].model].cascade
        else { return false }
        return cascade.first == turn.version && cascade.then == exchange.version
    }

    /// Keeps a copy of the answer's body, up to a bound.
    func keepForSemanticCache(_ bytes: UnsafeRawBufferPointer) {
        let count = exchange.semantic?.body.count ?? 0
        guard count + bytes.count <= SemanticTurn.answerBytesMax else {
            exchange.semantic = nil
            return
        }
        unsafe exchange.semantic?.body.append(contentsOf: bytes)
    }

    /// The exchange is over: a whole, good answer is kept.
    func settleSemanticCache(at now: MonotonicInstant) {
        guard let turn = exchange.semantic else { return }
        exchange.semantic = nil
        guard exchange.status == 200, !exchange.isCut, !exchange.hasClientLeft,
            mayKeep(turn), !turn.body.isEmpty,
            !exchange.isEventStream || exchange.checksEvents && exchange.events.ending == .done,
            !exchange.events.hasFailed,
            !CachedAnswer(status: 200, body: turn.body, isEventStream: exchange.isEventStream)
                .tellsOfError
        else { return }
        shared.semantic.keep(
            SemanticIndex.Kept(isEventStream: exchange.isEventStream, body: turn.body),
            turn.question, turn.direction, model: turn.model, policy: turn.policy, at: now)
    }
}

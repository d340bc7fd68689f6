// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletWire

extension ClientConnection {
    /// Decides where the request goes, asks its limits, and makes the first attempt.
    func route() {
        guard let runtime = exchange.runtime else { return }
        if pathKind == .ambiguous {
            return fail(
                400, "ambiguous_path",
                "a path with '..', '//', or encoded dots or slashes could mean another one")
        }
        if exchange.scansBody {
            guard takeModel() else {
                return fail(
                    400, "duplicate_member",
                    "a member of the body that decides its way comes twice")
            }
        }
        fillRequest(runtime)
        let decision = loop.routing.route(by: runtime.snapshot, draw: exchange.requestID)
        exchange.decision = decision
        switch decision.outcome {
        case .unknownModel:
            guard let name = exchange.modelName else { return refuseWithoutModel() }
            fail(404, "model_not_found", "there is no model '\(name)' here")
        case .refused(let index):
            let refusal = runtime.snapshot.tables.refusals[index]
            fail(refusal.status, "refused", refusal.message)
        case .version(let version):
            guard pathKind == .inference || runtime.snapshot.passesOn(pathKind, decision) else {
                return fail(
                    404, "path_not_passed_on",
                    "\(knownPath) asks no model, and no route names it")
            }
            admit(version, runtime)
        }
    }

    /// What the body says that the request is routed by. Clients keep to one model.
    /// False when it says something twice.
    private func takeModel() -> Bool {
        let summary = exchange.members.summary(known: knownModelText)
        if summary.hasDuplicate { return false }
        exchange.modelRange = summary.modelRange
        exchange.user = summary.user
        exchange.hasStream = summary.hasStream
        exchange.outputTokensMax = summary.outputTokensMax
        guard summary.hasModel else {
            exchange.modelName = nil
            return true
        }
        if !summary.isKnownModel {
            knownModelText = exchange.members.modelText
            knownModel = exchange.members.model
            knownModelIn = nil
        }
        exchange.modelName = knownModel
        return true
    }

    /// Its number, looked up once for each configuration.
    private func takeModelNumber(_ runtime: GatewayRuntime) {
        guard exchange.scansBody, exchange.modelRange != nil else {
            loop.routing.modelNumber = nil
            return
        }
        if knownModelIn != runtime.serial {
            knownModelIn = runtime.serial
            knownModelNumber = runtime.snapshot.number(ofModel: knownModel)
        }
        loop.routing.modelNumber = knownModelNumber
    }

    /// Asks the limits of the key, its tenant and the model.
    private func admit(_ version: Int, _ runtime: GatewayRuntime) {
        let model = runtime.snapshot.tables.versions[version].model
        if !isAllowed(model, runtime) {
            return fail(
                403, "model_not_allowed",
                "this API key may not use the model "
                    + "'\(runtime.snapshot.tables.models[model].name)'")
        }
        if asksBudgets(version, runtime) { return }
        admitWithinBudget(version, runtime)
    }

    /// What has been spent is known, as far as it can be.
    func admitWithinBudget(_ version: Int, _ runtime: GatewayRuntime) {
        guard hasBudget(runtime) else { return }
        let model = runtime.snapshot.tables.versions[version].model
        let keyLimiter = exchange.key.flatMap { runtime.keyLimiters[$0] }
        let tenantLimiter: Limiter?
        if let key = exchange.key, exchange.identity == nil {
            tenantLimiter = runtime.keyTenantLimiters[key]
        } else {
            tenantLimiter = exchange.tenant(runtime).flatMap { runtime.tenantLimiters[$0] }
        }
        let modelLimiter = runtime.modelLimiters[model]
        exchange.inputEstimate = TokenUsage.estimate(
            bytes: max(exchange.bodyBytes, parser.head.contentLength ?? 0))
        let demand = LimitDemand(
            key: keyLimiter, tenant: tenantLimiter, model: modelLimiter,
            inputTokens: exchange.inputEstimate, outputTokens: exchange.outputTokensMax)
        if demand.isEmpty {
            proceed(version, runtime)
        } else {
            askLimits(demand, version: version, runtime)
        }
    }

    func isAllowed(_ model: Int, _ runtime: GatewayRuntime) -> Bool {
        if let key = exchange.key, let own = runtime.access.keys[key].models, !own.contains(model) {
            return false
        }
        return exchange.identity?.models?.contains(model) ?? true
    }

    func refuse(_ refusal: LimitRefusal) {
        loop.metrics.limited += 1
        fail(
            429, "\(refusal.kind.rawValue)_limit_exceeded", describe(refusal),
            retryAfter: refusal.retryAfter)
    }

    /// The request may go on.
    func proceed(_ version: Int, _ runtime: GatewayRuntime) {
        exchange.priority = priority(runtime)
        choose(version, runtime)
        if exchange.decision.split != nil { noteExposure(version, runtime) }
        if runtime.isPlain[version] { return attempt(isFirst: true) }
        if asksCache(version, runtime) { return }
        beginAttempts()
    }

    /// Asks an upstream: nobody else has the answer.
    func beginAttempts() {
        guard let runtime = exchange.runtime else { return }
        decideShadow(exchange.version, runtime)
        if beginsSemanticSearch(exchange.version, runtime) { return }
        askModel()
    }

    /// Asks the version that was decided on, or its cascade.
    func askModel() {
        guard let runtime = exchange.runtime else { return }
        choose(beginCascade(exchange.version, runtime), runtime)
        attempt(isFirst: true)
    }

    /// Turns to a version: its pool is the one to ask from here on.
    func choose(_ version: Int, _ runtime: GatewayRuntime) {
        exchange.version = version
        exchange.pool = runtime.pools[runtime.snapshot.tables.versions[version].pool]
        exchange.tried = TriedMembers()
        exchange.attempts = 0
    }

    private func describe(_ refusal: LimitRefusal) -> String {
        let what =
            switch refusal.kind {
            case .requests: "requests per time"
            case .tokens: "tokens per time"
            case .concurrency: "requests at one time"
            }
        return refusal.retryAfter == nil
            ? "this request needs more than the limit of \(what) ever allows"
            : "the limit of \(what) is reached"
    }

    // MARK: What rules ask for

    func fillRequest(_ runtime: GatewayRuntime) {
        loop.routing.model = exchange.modelName
        takeModelNumber(runtime)
        if loop.routing.values.count != runtime.sources.count {
            loop.routing.values = Array(repeating: nil, count: runtime.sources.count)
        }
        let body: JSONValue? =
            runtime.needsBody && !exchange.body.isEmpty
            ? try? JSONValue(parsing: exchange.body) : nil
        parser.readHead { head in
            for index in 0..<runtime.sources.count {
                loop.routing.values[index] = value(runtime.sources[index], head, runtime, body)
            }
        }
    }

    /// As rules would find it.
    func value(_ source: GatewayRuntime.Source, _ runtime: GatewayRuntime) -> String? {
        var body: JSONValue?
        if case .field = source, !exchange.body.isEmpty {
            body = try? JSONValue(parsing: exchange.body)
        }
        var found: String?
        parser.readHead { head in found = value(source, head, runtime, body) }
        return found
    }

    private func value(
        _ source: GatewayRuntime.Source, _ head: borrowing HTTPRequestHead,
        _ runtime: GatewayRuntime, _ body: JSONValue?
    ) -> String? {
        switch source {
        case .path: return knownPath
        case .method:
            if exchange.method != .other { return exchange.method.rawValue }
            return String(decoding: head.fields.bytes.prefix { $0 != 0x20 }, as: UTF8.self)
        case .tenant: return exchange.tenant(runtime)
        case .key: return exchange.key.map { runtime.access.keys[$0].name }
        case .header(let name):
            return head.fields.value(named: name)
        case .user(let header):
            return head.fields.value(named: header)
                ?? exchange.user ?? exchange.identity?.subject
        case .query(let name): return query(name, head)
        case .field(let path):
            return body.flatMap { RequestDescription.field(path, in: $0) }
        }
    }

    /// The method as it was written.
    var requestMethod: String {
        if exchange.method != .other { return exchange.method.rawValue }
        let bytes = parser.head.fields.bytes
        return String(decoding: bytes.prefix { $0 != 0x20 }, as: UTF8.self)
    }

    func query(_ name: String, _ head: borrowing HTTPRequestHead) -> String? {
        QueryText.value(of: name, in: head.fields.string(head.query))
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletWire

/// What there is behind the gateway: models as OpenAI's clients ask for them, and the server as
/// the Open Inference protocol describes one. A key sees what it may use.
extension ClientConnection {
    private static let modelsPath = "/v1/models"
    private static let indexPath = "/v2/repository/index"

    // MARK: Health

    /// Whether requests can be served: not while draining, and not when no pool has a member that
    /// could be asked.
    func isReady() -> Bool {
        guard !shared.isDraining else { return false }
        let now = shared.time.now()
        return exchange.runtime?.pools.contains { $0.hasUsableMember(at: now) } ?? false
    }

    func answerReadiness() {
        let isReady = isReady()
        let status: JSONValue =
            isReady ? "ok" : shared.isDraining ? "draining" : "no upstream can be asked"
        answer(.json(["status": status], status: isReady ? 200 : 400))
    }

    // MARK: Listings

    /// Whether a path is one of those below.
    static func isListing(_ path: String) -> Bool {
        path == "/v2" || path == indexPath || path == modelsPath
            || path.hasPrefix(modelsPath + "/")
    }

    /// Whether the request asks what there is; it has been answered, or its body is waited for.
    func asksForListing() -> Bool {
        guard let runtime = exchange.runtime else { return false }
        let isReading = exchange.method == .get || exchange.method == .head
        switch knownPath {
        case ClientConnection.modelsPath where isReading: answerModels(runtime)
        case "/v2" where isReading: answerServer()
        case ClientConnection.indexPath where isReading:
            answerIndex(runtime, readyOnly: false)
        case ClientConnection.indexPath where exchange.method == .post:
            exchange.isFeedback = true
        default:
            let start = ClientConnection.modelsPath + "/"
            guard isReading, knownPath.hasPrefix(start) else { return false }
            answerModel(
                QueryText.decoded(
                    knownPath.dropFirst(start.count), plusIsSpace: false),
                runtime)
        }
        return true
    }

    private func names(_ runtime: GatewayRuntime) -> [RoutingSnapshot.ModelName] {
        runtime.snapshot.modelNames { isAllowed($0, runtime) }
    }

    private func answerModels(_ runtime: GatewayRuntime) {
        let models = names(runtime).map { json($0, runtime) }
        answer(.json(["object": "list", "data": .array(models)]))
    }

    private func answerModel(_ name: String, _ runtime: GatewayRuntime) {
        guard let found = names(runtime).first(where: { $0.name == name }) else {
            return fail(404, "model_not_found", "there is no model '\(name)' here for this key")
        }
        answer(.json(json(found, runtime)))
    }

    /// As Martlet's own models list themselves: `root` is what an alias stands for, `parent` whose
    /// adapter it is.
    private func json(
        _ name: RoutingSnapshot.ModelName, _ runtime: GatewayRuntime
    ) -> JSONValue {
        let own = runtime.snapshot.tables.models[name.model].name
        return [
            "id": .string(name.name), "object": "model",
            "created": .integer(shared.startedSeconds), "owned_by": "martlet",
            "root": .string(name.isAdapter ? name.name : own),
            "parent": name.isAdapter ? .string(own) : .null,
        ]
    }

    private func answerServer() {
        answer(
            .json([
                "name": "martlet-gateway", "version": .string(shared.version),
                "extensions": ["model_repository"],
            ]))
    }

    /// `POST /v2/repository/index`, whose body may say `{"ready": true}`.
    func answerIndex() {
        guard let runtime = exchange.runtime else { return }
        var readyOnly = false
        if !exchange.body.isEmpty {
            guard let body = try? JSONValue(parsing: exchange.body), body.objectValue != nil,
                body["ready"] == nil || body["ready"]?.boolValue != nil
            else {
                return fail(
                    400, "invalid_json", "the body must be empty or look like {\"ready\": true}")
            }
            readyOnly = body["ready"]?.boolValue ?? false
        }
        answerIndex(runtime, readyOnly: readyOnly)
    }

    /// Versions of models, ready when somebody of their pool can be asked.
    private func answerIndex(_ runtime: GatewayRuntime, readyOnly: Bool) {
        let now = shared.time.now()
        let isUsable = runtime.pools.map { $0.hasUsableMember(at: now) }
        var entries: [JSONValue] = []
        for name in names(runtime) where !name.isAdapter {
            for version in runtime.snapshot.versions(ofModel: name.model)
            where !readyOnly || isUsable[version.pool] {
                entries.append([
                    "name": .string(name.name), "version": .string(version.label),
                    "state": isUsable[version.pool] ? "READY" : "UNAVAILABLE",
                    "reason": isUsable[version.pool]
                        ? "" : "no member of its pool can be asked",
                ])
            }
        }
        answer(.json(.array(entries)))
    }
}

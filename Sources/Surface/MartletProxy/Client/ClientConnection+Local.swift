// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletWire
internal import MartletYAML
internal import NIOCore
internal import NIOPosix

/// What the gateway answers itself.
extension ClientConnection {
    /// Whether the request was for the gateway and not for an upstream.
    func answersLocally(_ head: HTTPRequestHead) -> Bool {
        switch knownPath {
        case "/healthz", "/v2/health/live":
            answer(.json(["status": shared.isDraining ? "draining" : "ok"]))
            return true
        case "/v2/health/ready":
            answerReadiness()
            return true
        case "/metrics":
            guard isAtAdminDoor else { return false }
            answerMetrics()
            return true
        default: break
        }
        guard knownPath.hasPrefix("/admin/"), isAtAdminDoor else { return false }
        guard let runtime = exchange.runtime, runtime.access.hasAdmin else {
            fail(404, "no_admin", "the admin API is closed: gateway.yaml has no admin")
            return true
        }
        let isAdmin = unsafe head.fields.bytes.withUnsafeBytes { bytes in
            guard let secret = ClientConnection.secret(head) else { return false }
            return unsafe runtime.access.isAdmin(UnsafeRawBufferPointer(rebasing: bytes[secret]))
        }
        guard isAdmin else {
            loop.metrics.unauthorized += 1
            fail(401, "invalid_admin_key", "the admin API needs its own key")
            return true
        }
        exchange.isAdmin = true
        return true
    }

    /// Whether the admin API and the metrics are here.
    private var isAtAdminDoor: Bool {
        guard shared.listen.admin != nil else { return true }
        let channel = stream?.link.context?.channel ?? context?.channel
        return channel?.localAddress?.port == shared.adminPort
    }

    private func answerMetrics() {
        let futures = shared.loops.map { box in
            box.eventLoop.submit { box.value.metrics.snapshot() }
        }
        exchange.attemptNumber &+= 1
        let number = exchange.attemptNumber
        exchange.stage = .waiting
        EventLoopFuture.whenAllSucceed(futures, on: loop.eventLoop).assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self, isInRequest, exchange.attemptNumber == number,
                    case .success(let parts) = result
                else { return }
                var sum = MetricsSnapshot()
                for part in parts { sum.add(part) }
                var text = ""
                MetricsText.write(
                    sum, connections: shared.connections,
                    runtime: shared.store.load().runtime, into: &text)
                VariantMetricsText.write(sum.exposures, shared.variants, into: &text)
                VariantMetricsText.write(shared.semantic.counts, into: &text)
                answer(
                    LocalAnswer(
                        status: 200, contentType: "text/plain; version=0.0.4",
                        body: Array(text.utf8)))
            }
    }

    // MARK: Admin

    /// An admin request is there with its body.
    func answerAdmin() {
        guard let runtime = exchange.runtime else { return }
        switch (requestMethod, knownPath) {
        case ("GET", "/admin/usage"):
            answer(.json(usageReport(runtime)))
        case ("GET", "/admin/compare"):
            answer(.json(["models": .array(shared.comparisons.models.map { .string($0) })]))
        case ("GET", let path) where path.hasPrefix("/admin/compare/"):
            let model = String(path.dropFirst("/admin/compare/".count))
            guard let report = shared.comparisons.json(model) else {
                return fail(404, "nothing_compared", "nothing of '\(model)' has been compared")
            }
            answer(.json(report))
        case ("DELETE", let path) where path.hasPrefix("/admin/compare/"):
            let model = String(path.dropFirst("/admin/compare/".count))
            guard shared.comparisons.remove(model) else {
                return fail(404, "nothing_compared", "nothing of '\(model)' has been compared")
            }
            answer(.json(["model": .string(model), "removed": .bool(true)]))
        case (_, let path) where path.hasPrefix("/admin/delivery"): answerDelivery(path)
        case ("GET", "/admin/upstreams"): answer(.json(upstreams(runtime)))
        case ("POST", "/admin/config"), ("PUT", "/admin/config"): replaceConfiguration()
        case ("DELETE", let path) where path.hasPrefix("/admin/cache/"):
            emptyCache(String(path.dropFirst("/admin/cache/".count)), runtime)
        case ("POST", "/admin/rollback"):
            if shared.store.rollBack() {
                answer(.json(["generation": .integer(Int64(shared.store.generation))]))
            } else {
                fail(409, "nothing_to_roll_back", "there is no earlier configuration")
            }
        case ("POST", let path) where path.hasPrefix("/admin/upstreams/"): changeUpstream(path)
        default: fail(404, "unknown_admin_path", "the admin API has no \(knownPath)")
        }
    }

    private func emptyCache(_ model: String, _ runtime: GatewayRuntime) {
        let models = runtime.snapshot.tables.models
        guard let place = models.firstIndex(where: { $0.name == model }),
            let cache = runtime.caches[place]
        else { return fail(404, "no_cache", "no answers of '\(model)' are kept") }
        let count = cache.size.count
        cache.removeAll()
        answer(.json(["model": .string(model), "removed": .integer(Int64(count))]))
    }

    /// Reads, compiles and puts in force what came, beside the loop: a large file takes a while.
    private func replaceConfiguration() {
        exchange.attemptNumber &+= 1
        exchange.stage = .waiting
        let (body, store, number) = (exchange.body, shared.store, exchange.attemptNumber)
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        NIOThreadPool.singleton.submit { _ in
            let answer = ClientConnection.replace(store, by: body)
            bound.eventLoop.execute {
                let client = bound.value
                guard client.isInRequest, client.exchange.attemptNumber == number else { return }
                client.answer(answer)
            }
        }
    }

    private nonisolated static func replace(_ store: RuntimeStore, by yaml: [UInt8]) -> LocalAnswer
    {
        var problems: [String]
        do {
            let snapshot = try RoutingSnapshot(yaml: yaml, file: "request")
            let warnings = store.warnings(of: snapshot)
            try store.publish(snapshot)
            return .json([
                "generation": .integer(Int64(store.generation)),
                "warnings": .array(warnings.map { .string($0) }),
            ])
        } catch let error as GatewayConfigurationError {
            problems = error.problems.map(\.description)
        } catch { problems = ["\(error)"] }
        return .json(
            [
                "error": [
                    "message": "the configuration is refused", "code": "bad_configuration",
                    "problems": .array(problems.map { .string($0) }),
                ]
            ], status: 422)
    }

    private func upstreams(_ runtime: GatewayRuntime) -> JSONValue {
        let now = shared.time.now()
        let pools = runtime.pools.map { pool -> JSONValue in
            let members = zip(pool.members, pool.report(at: now)).map {
                identity, member -> JSONValue in
                [
                    "upstream": .string(identity.name),
                    "in_flight": .integer(Int64(member.inFlight)),
                    "queued": .integer(Int64(member.queued)),
                    "memory_use": .number(member.memoryUse),
                    "adapters": .array(member.adapters.map { .string($0) }),
                    "healthy": .bool(member.isWell), "draining": .bool(member.isDraining),
                    "ejected": .bool(member.isEjected), "breaker": .string(member.breaker),
                    "resting_seconds": .number(
                        Double(member.rests.nanosecondsSaturating / 1_000_000) / 1_000),
                ]
            }
            return ["pool": .string(pool.name), "members": .array(members)]
        }
        return ["pools": .array(pools)]
    }

    /// `POST /admin/upstreams/NAME/drain` and `…/resume`.
    private func changeUpstream(_ path: String) {
        let parts = path.split(separator: "/")
        guard parts.count == 4, parts[3] == "drain" || parts[3] == "resume",
            let runtime = exchange.runtime
        else { return fail(404, "unknown_admin_path", "the admin API has no \(path)") }
        var found = false
        for pool in runtime.pools {
            for (index, member) in pool.members.enumerated() where member.name == parts[2] {
                pool.setDraining(index, parts[3] == "drain")
                found = true
            }
        }
        guard found else {
            return fail(404, "unknown_upstream", "there is no upstream '\(parts[2])'")
        }
        answer(.json(["upstream": .string(String(parts[2])), "state": .string(String(parts[3]))]))
    }
}

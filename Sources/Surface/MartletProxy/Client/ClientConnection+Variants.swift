// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletResilience
internal import MartletWire

/// What a request tells of the versions that serve side by side.
extension ClientConnection {
    // MARK: Exposure

    /// The request was assigned to a version of an experiment: counts it and writes it down.
    func noteExposure(_ version: Int, _ runtime: GatewayRuntime) {
        guard let number = exchange.decision.split,
            let experiment = runtime.snapshot.tables.splits[number].experiment
        else { return }
        let tables = runtime.snapshot.tables
        let label = tables.versions[version].label
        loop.metrics.exposures[
            LoopMetrics.Exposure(experiment: experiment, version: label), default: 0] += 1
        guard let log = shared.variants.exposures else { return }
        let unit = loop.routing.values[tables.splits[number].keySlot]
        let attribute = tables.attributes[tables.splits[number].keySlot]
        let shown = ClientConnection.isSecret(attribute) ? nil : unit
        let mark = unit.map {
            StableHash.hash($0, salt: StableHash.salt(experiment)) ^ StableHash.salt(label)
        }
        let now = exchange.began
        log.record(mark: mark) {
            [
                "time": .integer(loop.epochSeconds(at: now)), "experiment": .string(experiment),
                "model": .string(tables.models[tables.versions[version].model].name),
                "version": .string(label), "by": .string(attribute.description),
                "unit": shown.map { .string($0) } ?? .null,
                "request_id": .string(requestIDText),
            ]
        }
    }

    /// Headers whose values are secrets may decide a split, and are written nowhere.
    private static func isSecret(_ attribute: Attribute) -> Bool {
        guard case .header(let name) = attribute else { return false }
        return ["authorization", "x-api-key", "cookie", "proxy-authorization"].contains(name)
    }

    // MARK: Outcome

    /// The exchange is over: tells the delivery that it was part of, and remembers it for feedback.
    func noteOutcome(at now: MonotonicInstant) {
        guard exchange.version >= 0, let runtime = exchange.runtime,
            case .version(let assigned) = exchange.decision.outcome, !exchange.hasClientLeft
        else { return }
        if runtime.snapshot.tables.deliveries.isEmpty, shared.variants.feedback == nil { return }
        let tables = runtime.snapshot.tables
        let delivery = exchange.decision.split.flatMap { tables.splits[$0].delivery }
            .map { tables.deliveries[$0] }
        let isCanary = delivery.map { tables.versions[assigned].label == $0.plan.canary } ?? false
        let share = delivery.map { runtime.snapshot.share(of: $0) } ?? 0
        if exchange.status == 200, !exchange.isCut, exchange.triedModels.isEmpty,
            let desk = shared.variants.feedback
        {
            let target = loop.feedbackTarget(exchange.version, delivery, isCanary, runtime)
            let key = exchange.key.map { runtime.access.keys[$0].name }
            desk.remember(
                requestIDNumber(key: key),
                FeedbackDesk.Subject(target: target, share: share, key: key), at: now)
        }
        guard let delivery else { return }
        let isError =
            exchange.status >= 500 || exchange.status == 429 || exchange.isCut
            || exchange.version != assigned
            || (exchange.isEventStream && exchange.events.hasFailed)
        let end = exchange.isEventStream ? exchange.firstByte ?? now : now
        shared.variants.apply(
            shared.variants.deliveries.record(
                DeliveryController.Answer(
                    isCanary: isCanary, share: share, isError: isError,
                    latency: exchange.began.duration(to: end)),
                experiment: delivery.plan.experiment, at: now))
    }

    // MARK: Feedback

    /// Whether the request is a verdict on an earlier answer; its body is waited for.
    func takesFeedback() -> Bool {
        guard knownPath == "/v1/feedback", shared.variants.feedback != nil else { return false }
        guard exchange.method == .post else {
            fail(405, "method_not_allowed", "feedback is given by POST")
            return true
        }
        exchange.isFeedback = true
        return true
    }

    func answerFeedback() {
        if knownPath != "/v1/feedback" { return answerIndex() }
        guard let desk = shared.variants.feedback, let runtime = exchange.runtime else { return }
        let body: FeedbackBody
        do throws(FeedbackBodyError) {
            body = try FeedbackBody(exchange.body)
        } catch {
            return fail(400, "invalid_feedback", error.message)
        }
        let now = shared.time.now()
        let key = exchange.key.map { runtime.access.keys[$0].name }
        switch desk.take(body, key: key, at: now) {
        case .unknown:
            fail(
                404, "unknown_request",
                "request '\(body.id)' is not known: it was not answered here, "
                    + "is too long ago, or is another key's")
        case .given:
            fail(
                409, "feedback_given",
                "request '\(body.id)' has had its feedback")
        case .taken(let subject, let isBad):
            if let experiment = subject.target.experiment {
                shared.variants.apply(
                    shared.variants.deliveries.recordFeedback(
                        experiment: experiment, isCanary: subject.target.isCanary,
                        share: subject.share, isBad: isBad, at: now))
            }
            answer(
                .json([
                    "request_id": .string(body.id),
                    "model": .string(subject.target.label.model),
                    "version": .string(subject.target.label.version),
                    "score": .number(body.score), "verdict": isBad ? "bad" : "good",
                ]))
        }
    }

    // MARK: Admin

    /// `GET /admin/delivery` and `POST /admin/delivery/MODEL/pause|resume|abort|restart`.
    func answerDelivery(_ path: String) {
        let deliveries = shared.variants.deliveries
        if path == "/admin/delivery", exchange.method == .get {
            return answer(.json(deliveries.json()))
        }
        let rest = path.dropFirst("/admin/delivery/".count)
        guard exchange.method == .post, let slash = rest.lastIndex(of: "/"),
            let call = Deliveries.Call(rawValue: String(rest[rest.index(after: slash)...]))
        else { return fail(404, "unknown_admin_path", "the admin API has no \(path)") }
        let model = String(rest[..<slash])
        switch deliveries.call(call, model: model, at: shared.time.now()) {
        case nil: fail(404, "no_delivery", "model '\(model)' has no delivery")
        case .failure(let refusal)?:
            fail(409, "delivery_is_over", "the delivery of '\(model)': \(refusal.message)")
        case .success(let change)?:
            shared.variants.apply(change)
            answer(.json(["model": .string(model), "delivery": .string(change.what)]))
        }
    }
}

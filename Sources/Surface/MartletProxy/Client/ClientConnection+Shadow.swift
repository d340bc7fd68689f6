// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire

extension ClientConnection {
    /// Decides whether this request is asked of a candidate as well, off its own way.
    func decideShadow(_ version: Int, _ runtime: GatewayRuntime) {
        let tables = runtime.snapshot.tables
        guard let shadow = tables.models[tables.versions[version].model].shadow,
            shadow.version != version, !exchange.isGRPC, exchange.isReplayable,
            exchange.isBodyComplete,
            StableHash.place(StableHash.mixed(exchange.requestID &+ 1)) < shadow.share
        else { return }
        guard loop.shadowsInFlight < shadow.concurrencyMax else {
            loop.metrics.shadowsDropped += 1
            return
        }
        exchange.isShadowed = true
    }

    /// Keeps a copy of the answer, up to a bound above which it is not compared.
    func keepForShadow(_ bytes: UnsafeRawBufferPointer) {
        unsafe exchange.answer.add(bytes, at: shared.time.now())
        guard exchange.answer.isTooLong else { return }
        exchange.isShadowed = false
        loop.metrics.shadowsDropped += 1
    }

    /// The client has its answer: asks the candidate (and, for the noise, the primary once more).
    func startShadow(at now: MonotonicInstant) {
        guard exchange.isShadowed, exchange.status == 200, !exchange.isCut,
            exchange.fallbackPlace == 0, let runtime = exchange.runtime
        else { return }
        exchange.isShadowed = false
        let tables = runtime.snapshot.tables
        let model = tables.models[tables.versions[exchange.version].model]
        guard let shadow = model.shadow,
            let primary = exchange.answer.answer(from: exchange.began, to: now)
        else { return }
        // Others may have taken the places while this one was answered.
        guard loop.shadowsInFlight < shadow.concurrencyMax else {
            loop.metrics.shadowsDropped += 1
            return
        }
        let job = ShadowJob(
            loop, id: requestIDText, model: model.name, primary: primary,
            price: tables.versions[exchange.version].price,
            candidatePrice: tables.versions[shadow.version].price, request: exchange.body)
        job.ask(call(shadow.version, runtime, at: now), isCandidate: true)
        if shadow.measuresNoise {
            job.ask(call(exchange.version, runtime, at: now), isCandidate: false)
        }
        job.begin()
    }

    /// The request as a version's upstream gets it; nil when nobody can be asked.
    private func call(
        _ version: Int, _ runtime: GatewayRuntime, at now: MonotonicInstant
    ) -> ShadowCall? {
        let pool = runtime.pools[runtime.snapshot.tables.versions[version].pool]
        guard
            let attempt = pool.begin(
                .leastLoaded, tried: TriedMembers(), isFirst: false, at: now,
                using: &loop.random)
        else { return nil }
        let identity = pool.members[attempt.member]
        let rename = renaming(to: version, at: identity)
        var lines = WireBuffer()
        takeUsageQuestion(for: identity)
        parser.readHead {
            _ = composeHead(
                $0, identity, rename, isCompared: true, deadline: .never, at: now, into: &lines)
        }
        appendBody(rename, to: &lines)
        return ShadowCall(pool, attempt, unsafe Array(lines.bytes), exchange.method)
    }
}

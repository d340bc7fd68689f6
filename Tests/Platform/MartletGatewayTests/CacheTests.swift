// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("Exact cache")
struct CacheTests {
    private func instant(_ seconds: Int) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(seconds) * 1_000_000_000)
    }

    private func key(_ name: String, tenant: String = "t") -> CacheKey {
        CacheKey(
            tenant: tenant, model: "m", version: "1", path: "/v1", body: ["q": .string(name)])
    }

    @Test("keys differ in everything that an answer depends on, and in nothing else")
    func keys() throws {
        func key(
            _ tenant: String = "t", _ model: String = "m", _ version: String = "1",
            _ path: String = "/p", _ parameters: [(name: String, value: String)] = [],
            _ body: String = #"{"a": [1, {"x": 1, "y": 2}]}"#
        ) throws -> CacheKey {
            CacheKey(
                tenant: tenant, model: model, version: version, path: path,
                parameters: parameters, body: try JSONValue(parsing: body))
        }
        let base = try key()
        #expect(try key("t", "m", "1", "/p", [], #"{"a":[1,{"y":2,"x":1}]}"#) == base)
        #expect(
            try key("t", "m", "1", "/p", [("b", "2"), ("a", "1")])
                == key("t", "m", "1", "/p", [("a", "1"), ("b", "2")]))
        let others = [
            try key("u"), try key("t", "n"), try key("t", "m", "2"), try key("t", "m", "1", "/q"),
            try key("t", "m", "1", "/p", [("a", "1")]), try key("tm", "", "1"),
            try key("t", "m", "1", "/p", [], #"{"a": [1, {"x": 1, "y": "2"}]}"#),
        ]
        #expect(Set(others + [base]).count == others.count + 1)
    }

    @Test("one leads, others wait, all get it, and then it is a hit until its time is over")
    func singleFlight() {
        var cache = ExactCache<String>()
        guard case .lead(let flight) = cache.ask(key("a"), at: instant(0)),
            case .wait(let waiter) = cache.ask(key("a"), at: instant(0)),
            case .lead = cache.ask(key("b"), at: instant(0)),
            case .lead = cache.ask(key("a", tenant: "other"), at: instant(0))
        else {
            Issue.record("not one flight per key")
            return
        }
        #expect(cache.succeed(flight, "answer", byteCount: 6, at: instant(1)) == [waiter])
        #expect(cache.succeed(flight, "again", byteCount: 6, at: instant(1)) == [])
        guard case .hit("answer", .seconds(299)) = cache.ask(key("a"), at: instant(300)) else {
            Issue.record("no hit")
            return
        }
        guard case .lead = cache.ask(key("a"), at: instant(301)) else {
            Issue.record("served beyond its time")
            return
        }
        #expect(cache.count == 0 && cache.byteCount == 0)
    }

    @Test(
        "failures are told to those that wait and kept for nobody; a leader that goes is replaced")
    func failures() {
        var cache = ExactCache<Int>()
        guard case .lead(let flight) = cache.ask(key("a"), at: instant(0)),
            case .wait(let one) = cache.ask(key("a"), at: instant(0)),
            case .wait(let two) = cache.ask(key("a"), at: instant(0)),
            case .wait(let three) = cache.ask(key("a"), at: instant(0))
        else { return }
        let next = cache.abandon(flight)
        #expect(next?.waiter == one)
        #expect(cache.cancel(two) == true)
        #expect(cache.cancel(two) == false)
        #expect(cache.fail(flight) == [three])
        guard case .lead(let again) = cache.ask(key("a"), at: instant(0)) else {
            Issue.record("a failure was kept")
            return
        }
        #expect(cache.abandon(again) == nil)
        guard case .lead(let last) = cache.ask(key("a"), at: instant(0)) else { return }
        #expect(cache.succeed(last, 1, byteCount: 1, isCacheable: false, at: instant(0)) == [])
        #expect(cache.count == 0)
    }

    @Test("an answer beyond its time is kept for when nobody can answer, and no longer")
    func stale() {
        var policy = ExactCache<Int>.Policy()
        policy.timeToLive = .seconds(10)
        policy.staleFor = .seconds(20)
        var cache = ExactCache<Int>(policy: policy)
        cache.put(key("a"), 7, byteCount: 1, made: instant(0))
        guard case .lead(let flight) = cache.ask(key("a"), at: instant(10)) else {
            Issue.record("given as fresh beyond its time")
            return
        }
        #expect(cache.stale(key("a"), at: instant(29))?.value == 7)
        #expect(cache.fail(flight).isEmpty && cache.count == 1)
        #expect(cache.stale(key("a"), at: instant(30)) == nil && cache.count == 0)
        cache.put(key("b"), 1, byteCount: 1, made: instant(30))
        guard case .lead(let again) = cache.ask(key("b"), isRefresh: true, at: instant(31)) else {
            Issue.record("a refresh was answered from here")
            return
        }
        #expect(cache.succeed(again, 2, byteCount: 1, at: instant(31)).isEmpty)
        #expect(cache.stale(key("b"), at: instant(32))?.value == 2)
    }

    @Test("what may be kept: temperature 0, embeddings, tensors, or who asks for it")
    func leave() throws {
        func leave(
            _ use: CachePolicy.Use, _ path: String, _ body: String, isAsked: Bool = false
        ) throws -> CacheLeave {
            var policy = CachePolicy()
            policy.use = use
            return CacheLeave(
                policy, path: path, isAsked: isAsked, body: try JSONValue(parsing: body))
        }
        let chat = "/v1/chat/completions"
        #expect(try leave(.deterministic, chat, #"{"temperature": 0}"#) == .full)
        #expect(try leave(.deterministic, chat, #"{"temperature": 0.0}"#) == .full)
        #expect(try leave(.deterministic, chat, #"{"temperature": "0"}"#) == .none)
        #expect(try leave(.deterministic, chat, #"{"temperature": 1}"#) == .none)
        #expect(try leave(.deterministic, chat, "{}") == .none)
        #expect(try leave(.deterministic, chat, "{}", isAsked: true) == .full)
        #expect(try leave(.deterministic, "/v1/embeddings", "{}") == .full)
        #expect(try leave(.deterministic, "/v2/models/m/infer", "{}") == .full)
        #expect(try leave(.deterministic, "/v2/models/m/generate", "{}") == .none)
        #expect(try leave(.asked, "/v1/embeddings", "{}") == .none)
        #expect(try leave(.asked, chat, "{}", isAsked: true) == .full)
        #expect(try leave(.fallback, chat, "{}") == .keepOnly)
        #expect(try leave(.all, chat, "{}") == .full)
        #expect(try leave(.all, "/v1/files", "{}", isAsked: true) == .none)
        #expect(try leave(.all, chat, "[]") == .none)
    }

    @Test("whatever is asked, bounds hold, answers are right, and every waiter hears once")
    func simulation() {
        for seed in 0..<UInt64(500) {
            var random = SeededRandom(seed: seed)
            var policy = ExactCache<Int>.Policy()
            policy.bytesMax = Int.random(in: 100...2_000, using: &random)
            policy.entriesMax = Int.random(in: 1...12, using: &random)
            policy.entryBytesMax = 400
            policy.flightsMax = Int.random(in: 1...6, using: &random)
            policy.waitersMax = 3
            policy.timeToLive = .seconds(20)
            var cache = ExactCache<Int>(policy: policy)
            var flights: [(flight: ExactCache<Int>.Flight, key: Int)] = []
            var waiting: [ExactCache<Int>.Waiter: Int] = [:]
            var made: [Int: MonotonicInstant] = [:]
            var now = instant(0)
            for _ in 0..<400 {
                now = now.advanced(by: .milliseconds(Int.random(in: 0...2_000, using: &random)))
                var told: [ExactCache<Int>.Waiter] = []
                let roll = Int.random(in: 0..<10, using: &random)
                if roll < 6 || flights.isEmpty {
                    let wanted = Int.random(in: 0..<20, using: &random)
                    switch cache.ask(key("\(wanted)"), at: now) {
                    case .hit(let value, _):
                        let age = made[wanted]?.duration(to: now) ?? .seconds(1_000)
                        guard value == wanted, age < .seconds(20) else {
                            Issue.record("seed \(seed): \(value) for \(wanted), \(age) old")
                            return
                        }
                    case .lead(let flight):
                        guard !flights.contains(where: { $0.key == wanted }) else {
                            Issue.record("seed \(seed): two lead")
                            return
                        }
                        flights.append((flight, wanted))
                    case .wait(let waiter): waiting[waiter] = wanted
                    case .alone: break
                    }
                } else {
                    let index = Int.random(in: 0..<flights.count, using: &random)
                    let (flight, wanted) = flights[index]
                    if roll < 8 {
                        flights.remove(at: index)
                        told = cache.succeed(
                            flight, wanted, byteCount: Int.random(in: 0...500, using: &random),
                            at: now)
                        made[wanted] = now
                    } else if roll == 8 {
                        flights.remove(at: index)
                        told = cache.fail(flight)
                    } else if let next = cache.abandon(flight) {
                        told = [next.waiter]
                    } else {
                        flights.remove(at: index)
                    }
                    for waiter in told where waiting.removeValue(forKey: waiter) != wanted {
                        Issue.record("seed \(seed): a waiter hears twice, or of another's answer")
                        return
                    }
                }
                guard cache.byteCount <= policy.bytesMax, cache.count <= policy.entriesMax,
                    flights.count <= policy.flightsMax, waiting.count <= 3 * flights.count
                else {
                    Issue.record("seed \(seed): a bound is passed, or a waiter is lost")
                    return
                }
            }
        }
    }
}

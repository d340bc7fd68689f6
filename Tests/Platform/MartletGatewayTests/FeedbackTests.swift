// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Testing

@Suite("Feedback")
struct FeedbackTests {
    private func instant(_ seconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: seconds * 1_000_000_000)
    }

    @Test("remembers so many answers, for so long, each for one verdict")
    func memory() {
        var policy = FeedbackPolicy()
        policy.requestsMax = 3
        policy.keptFor = .seconds(10)
        var memory = FeedbackMemory<Int>(policy: policy)
        func subject(_ id: UInt64, _ at: Int64) -> Int? {
            if case .known(let subject) = memory.look(id, at: instant(at)) { return subject }
            return nil
        }
        for id in 1...4 { memory.remember(UInt64(id), id * 10, at: instant(Int64(id))) }
        #expect(memory.count == 3)
        #expect(subject(1, 4) == nil && subject(2, 4) == 20 && subject(4, 4) == 40)
        #expect(subject(2, 12) == 20 && subject(2, 13) == nil)
        memory.close(3)
        guard case .given = memory.look(3, at: instant(4)) else {
            Issue.record("a verdict is given once")
            return
        }
        // The same id again, while its old place is still there.
        memory.remember(4, 41, at: instant(5))
        memory.remember(5, 50, at: instant(6))
        memory.remember(6, 60, at: instant(6))
        #expect(subject(4, 6) == 41 && memory.count == 3)
    }

    @Test("bodies are read strictly, and every error names its member")
    func bodies() throws {
        let good = try FeedbackBody(
            Array(#"{"request_id":"00000000000000ff","score":0.5}"#.utf8))
        #expect(good.id == "00000000000000ff" && good.score == 0.5)
        #expect(RequestID.number(made: good.id) == 255)
        let own = try FeedbackBody(Array(#"{"request_id":"job-7/a","score":1}"#.utf8))
        #expect(own.id == "job-7/a" && RequestID.number(made: own.id) == nil)
        let wrong: [(String, String)] = [
            ("[]", "object"), ("{", "JSON"), ("{}", "request_id"),
            (#"{"request_id":"x y","score":1}"#, "request_id"),
            (#"{"request_id":"","score":1}"#, "request_id"),
            (#"{"request_id":"00000000000000ff"}"#, "score"),
            (#"{"request_id":"00000000000000ff","score":1.5}"#, "score"),
            (#"{"request_id":"00000000000000ff","score":"1"}"#, "score"),
            (#"{"request_id":"00000000000000ff","score":1,"scor":1}"#, "did you mean 'score'"),
        ]
        for (text, part) in wrong {
            do throws(FeedbackBodyError) {
                _ = try FeedbackBody(Array(text.utf8))
                Issue.record("\(text) was taken")
            } catch {
                #expect(error.message.contains(part), "\(text): \(error)")
            }
        }
    }

    @Test("a changed body is taken with a score in range, or refused", arguments: [1, 2, 3])
    func hostileBodies(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let good = Array(#"{"request_id":"00000000000000ff","score":0.5}"#.utf8)
        var taken = 0
        for _ in 0..<3_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
                case 1: bytes.insert(bytes[place], at: place)
                default: bytes.remove(at: place)
                }
            }
            if let body = try? FeedbackBody(bytes) {
                taken += 1
                #expect((0...1).contains(body.score), "seed \(seed)")
            }
        }
        #expect(taken > 0 && taken < 3_000, "seed \(seed)")
    }
}

@Suite("deliver in gateway.yaml")
struct DeliveryConfigurationTests {
    private func snapshot(_ model: String, _ more: String = "") throws -> RoutingSnapshot {
        let text = """
            upstreams: {a: "http://a:1", b: "http://b:1"}
            models:
              m: {versions: {v1: a, v2: b}, \(model)}
            \(more)
            """
        return try RoutingSnapshot(yaml: Array(text.utf8), file: "test")
    }

    @Test("compiles into a split whose canary has the first step")
    func compiles() throws {
        let snapshot = try snapshot(
            "deliver: {from: v1, to: v2, steps: [2, 100], hold: 10s, answers: 7, "
                + "errors: {tolerance: 0.5}, latency: {quantile: 0.9}, "
                + "feedback: {bad_below: 0.3}}")
        let delivery = try #require(snapshot.tables.deliveries.first)
        #expect(delivery.plan.steps == [20_000, 1_000_000] && delivery.plan.answersMin == 7)
        #expect(delivery.plan.errorTolerance == 0.5 && delivery.plan.latencyQuantile == 0.9)
        #expect(delivery.badBelow == 0.3 && snapshot.tables.feedback != nil)
        #expect(snapshot.share(of: delivery) == 20_000)
        let moved = try #require(snapshot.delivering(delivery, share: 700_000))
        #expect(moved.share(of: delivery) == 700_000)
        var description = RequestDescription()
        description.model = "m"
        let text = snapshot.explain(description, draw: 0).text
        #expect(
            text.contains("'v1' → 'v2' by 2 %, 100 %, each for 10.0 s and 7 answers"), "\(text)")
        // Whoever had the canary keeps it.
        for user in 0..<2_000 {
            let request = snapshot.request(model: "m") {
                $0 == .user ? "u\(user)" : nil
            }
            func label(_ snapshot: RoutingSnapshot) -> String? {
                guard case .version(let version) = snapshot.route(request, draw: 0).outcome else {
                    return nil
                }
                return snapshot.tables.versions[version].label
            }
            if label(snapshot) == "v2" { #expect(label(moved) == "v2") }
        }
    }

    @Test("what is wrong is told with its line")
    func problems() {
        let wrong: [(String, String)] = [
            ("deliver: {from: v1, to: v3}", "'v3'"), ("deliver: {from: v1}", "has no to"),
            ("deliver: {from: v1, to: v1}", "both"),
            ("deliver: {from: v1, to: v2, steps: [5, 1, 100]}", "grow"),
            ("deliver: {from: v1, to: v2, steps: [5]}", "100 %"),
            ("deliver: {from: v1, to: v2, steps: [0, 100]}", "above 0"),
            ("deliver: {from: v1, to: v2, hole: 5s}", "did you mean 'hold'"),
            ("default: v1, deliver: {from: v1, to: v2}", "one of them"),
        ]
        for (text, part) in wrong {
            do {
                _ = try snapshot(text)
                Issue.record("\(text) was taken")
            } catch {
                #expect("\(error)".contains(part) && "\(error)".contains("line 3"), "\(error)")
            }
        }
    }
}

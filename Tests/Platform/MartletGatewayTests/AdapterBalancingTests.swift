// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import Testing

@Suite("Adapters")
struct AdapterBalancingTests {
    private let now = MonotonicInstant(nanoseconds: 0)

    private func pool(_ count: Int) -> PoolState {
        PoolState(members: (0..<count).map { _ in MemberLoad() })
    }

    // MARK: What members say

    @Test("vLLM's page is read: the latest line of each engine counts")
    func metrics() {
        let page = """
            # TYPE vllm:lora_requests_info gauge
            vllm:lora_requests_info{max_lora="4",running_lora_adapters="",waiting_lora_adapters=""} 1.7e9
            vllm:lora_requests_info{max_lora="4",running_lora_adapters="sql, poems",waiting_lora_adapters="a\\\"}b"} 1.7000000021e9
            vllm:lora_requests_info{max_lora="4",running_lora_adapters="old",waiting_lora_adapters=""} 1.700000001e9
            vllm:lora_requests_info{engine="1",max_lora="2",running_lora_adapters="sql,more"} 1.0
            vllm:num_requests_waiting{model_name="llama"} 3.0
            """
        let report = LoadReport(metrics: Array(page.utf8))
        #expect(report?.queued == 3)
        #expect(report?.adapters?.names == ["sql", "poems", "a\"}b", "more"])
        #expect(report?.adapters?.slots == 6)
    }

    @Test(
        "what is no report of adapters is none",
        arguments: [
            "vllm:lora_requests_info 1", "vllm:lora_requests_info{} x",
            "vllm:lora_requests_info{max_lora=4} 1", "vllm:lora_requests_info{max_lora=\"4} 1",
            "vllm:lora_requests_info{max_lora=\"4\" 1",
        ])
    func noReport(page: String) {
        let report = LoadReport(metrics: Array(page.utf8))
        #expect(report?.adapters?.names ?? [] == [])
        #expect(report?.adapters?.slots == nil)
    }

    @Test("as many are held as there are slots; the one not used longest goes")
    func slots() {
        var held = HeldAdapters()
        held.take(AdapterReport(names: ["a", "b"], slots: 2))
        held.use("a")
        held.use("c")
        #expect(held.names == ["a", "c"])
        held.take(AdapterReport(names: ["x", "y", "z"], slots: -5))
        #expect(held.names == ["x", "y", "z"])
        held.take(AdapterReport(names: (0..<1_000).map { "n\($0)" }, slots: .max))
        #expect(held.names.count == 256)
        held.forget()
        #expect(held.names == [])
    }

    // MARK: Choice

    @Test("whoever holds it is asked, unless too much waits there or it is down")
    func holders() {
        for seed in 0..<200 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var pool = pool(4)
            let holder = Int.random(in: 0..<4, using: &random)
            let name = "adapter-\(seed)"
            pool.report(holder, AdapterReport(names: ["other", name], slots: 4))
            #expect(pool.pick(.adapter(name), at: now, using: &random) == holder, "seed \(seed)")
            pool.report(holder, queued: 20, memoryUse: 0, at: now)
            let spilled = pool.pick(.adapter(name), at: now, using: &random)
            #expect(spilled != holder, "seed \(seed)")
            // Always to the same one, and together again once the holder has time.
            for _ in 0..<5 {
                #expect(pool.pick(.adapter(name), at: now, using: &random) == spilled)
            }
            pool.report(holder, queued: 0, memoryUse: 0, at: now)
            #expect(pool.pick(.adapter(name), at: now, using: &random) == holder, "seed \(seed)")
            var tried = TriedMembers()
            tried.add(holder)
            let again = pool.pick(.adapter(name), tried: tried, at: now, using: &random)
            #expect(again != holder, "seed \(seed)")
            pool.setUp(holder, false, at: now)
            let other = pool.pick(.adapter(name), at: now, using: &random)
            #expect(other != nil && other != holder, "seed \(seed)")
        }
    }

    @Test("where nobody holds it every gateway chooses the same, and it stays there")
    func staysPut() {
        var (here, there) = (pool(5), pool(5))
        var random = SeededRandom(seed: 1)
        var counts = [Int](repeating: 0, count: 5)
        for number in 0..<500 {
            let name = "adapter-\(number)"
            guard let home = here.pick(.adapter(name), at: now, using: &random) else { return }
            counts[home] += 1
            #expect(there.pick(.adapter(name), at: now, using: &random) == home)
            here.use(adapter: name, at: home)
            #expect(here.pick(.adapter(name), at: now, using: &random) == home)
        }
        #expect(counts.allSatisfy { (50...170).contains($0) }, "\(counts)")
        // A member that was away has lost what it held; those that took over keep it.
        let home = here.pick(.adapter("adapter-499"), at: now, using: &random) ?? 0
        here.setUp(home, false, at: now)
        guard let other = here.pick(.adapter("adapter-499"), at: now, using: &random) else {
            return
        }
        here.use(adapter: "adapter-499", at: other)
        here.forgetAdapters(of: home)
        here.setUp(home, true, at: now)
        #expect(here.pick(.adapter("adapter-499"), at: now, using: &random) == other)
        there.forgetAdapters(of: 0)
    }

    // MARK: Simulation

    /// Upstreams with slots for adapters, gateways that poll them, and requests in between.
    private struct World {
        struct Open {
            var end: Int
            var member: Int
            var gateway: Int
            var name: String
        }

        var random: SeededRandom
        var gateways: [PoolState]
        /// What each member truly holds, the one used last at the end.
        var held: [[String]]
        var isUp: [Bool]
        let slots: Int
        let goesByAdapter: Bool
        var open: [Open] = []
        var loads = 0
        var requests = 0

        init(seed: UInt64, goesByAdapter: Bool) {
            random = SeededRandom(seed: seed)
            let count = Int.random(in: 2...8, using: &random)
            slots = Int.random(in: 2...6, using: &random)
            self.goesByAdapter = goesByAdapter
            let pool = PoolState(members: (0..<count).map { _ in MemberLoad() })
            gateways = Array(repeating: pool, count: Int.random(in: 1...3, using: &random))
            held = Array(repeating: [], count: count)
            isUp = Array(repeating: true, count: count)
        }

        func instant(_ step: Int) -> MonotonicInstant {
            MonotonicInstant(nanoseconds: Int64(step) * 50_000_000)
        }

        /// - Returns: what went wrong.
        mutating func run(steps: Int) -> String? {
            let names = max(slots * held.count / 2, 2)
            for step in 0..<steps {
                let now = instant(step)
                for one in open where one.end <= step { gateways[one.gateway].finish(one.member) }
                open.removeAll { $0.end <= step }
                if step % 20 == 0 { poll(now) }
                if step % 97 == 0 { changeHealth(now) }
                for _ in 0..<Int.random(in: 0...held.count, using: &random) {
                    // The lower numbers more often.
                    let low = min(
                        Int.random(in: 0..<names, using: &random),
                        Int.random(in: 0..<names, using: &random))
                    if let wrong = ask("n\(low)", step) { return wrong }
                }
            }
            return nil
        }

        mutating func ask(_ name: String, _ step: Int) -> String? {
            let now = instant(step)
            let gateway = Int.random(in: 0..<gateways.count, using: &random)
            var draw = SeededRandom(seed: random.next())
            let choice = goesByAdapter ? PoolState.Choice.adapter(name) : .leastLoaded
            guard let member = gateways[gateway].pick(choice, at: now, using: &draw) else {
                return isUp.contains(true) ? "nobody was chosen" : nil
            }
            guard isUp[member] else { return "member \(member) is down" }
            let pool = gateways[gateway]
            let mine = pool.members.filter(\.isUp)
            let work = { (load: MemberLoad) in Double(load.inFlight + load.queued) }
            let mean = (mine.reduce(1) { $0 + work($1) }) / Double(mine.count)
            let limit = max((PoolState.loadBound * mean).rounded(.up), 1)
            let isFree = mine.contains { work($0) + 1 <= limit }
            guard !goesByAdapter || !isFree || work(pool.members[member]) + 1 <= limit else {
                return "member \(member) has more than its share"
            }
            requests += 1
            gateways[gateway].begin(member)
            if goesByAdapter { gateways[gateway].use(adapter: name, at: member) }
            if let place = held[member].firstIndex(of: name) {
                held[member].remove(at: place)
            } else {
                loads += 1
            }
            held[member].append(name)
            if held[member].count > slots { held[member].removeFirst() }
            let length = Int.random(in: 1...4, using: &random)
            open.append(Open(end: step + length, member: member, gateway: gateway, name: name))
            return nil
        }

        mutating func poll(_ now: MonotonicInstant) {
            for member in held.indices where isUp[member] {
                var names: [String] = []
                for one in open where one.member == member && !names.contains(one.name) {
                    names.append(one.name)
                }
                for gateway in gateways.indices {
                    gateways[gateway].report(member, queued: 0, memoryUse: 0, at: now)
                    gateways[gateway].report(member, AdapterReport(names: names, slots: slots))
                }
            }
        }

        mutating func changeHealth(_ now: MonotonicInstant) {
            let member = Int.random(in: 0..<held.count, using: &random)
            isUp[member].toggle()
            held[member] = []
            for gateway in gateways.indices {
                gateways[gateway].setUp(member, isUp[member], at: now)
                gateways[gateway].forgetAdapters(of: member)
            }
        }
    }

    @Test("whatever happens nobody is asked who is down or full, and adapters are loaded seldom")
    func simulation() {
        var (byAdapter, byLoad) = (0, 0)
        for seed in 0..<400 as Range<UInt64> {
            var world = World(seed: seed, goesByAdapter: true)
            let wrong = world.run(steps: 300)
            #expect(wrong == nil, "seed \(seed): \(wrong ?? "")")
            var other = World(seed: seed, goesByAdapter: false)
            #expect(other.run(steps: 300) == nil, "seed \(seed)")
            byAdapter += world.loads * 1_000 / max(world.requests, 1)
            byLoad += other.loads * 1_000 / max(other.requests, 1)
        }
        #expect(byAdapter * 2 < byLoad, "per mille of requests: \(byAdapter) against \(byLoad)")
    }

    // MARK: Configuration

    static let good = """
        upstreams: {a: "http://10.0.0.1:8000", b: "http://10.0.0.2:8000"}
        pools:
          gpus: {members: [a, b], balance: lora, load: {path: /metrics}}
          marked: {members: [a, b], balance: lora, adapter_key: "header:X-Adapter", load: {}}
        models:
          llama:
            versions: {v1: {pool: gpus, model: meta/llama}}
            adapters: [sql, poems]
          own: {versions: {v1: {pool: gpus, model: law, adapter: true}}}
          plain: {versions: {v1: marked}}
        aliases: {small: llama}
        """

    @Test("adapters go their model's way under their own names, and explain says by what")
    func explained() throws {
        let snapshot = try RoutingSnapshot(
            yaml: Array(AdapterBalancingTests.good.utf8), file: "g")
        #expect(snapshot.warnings == [])
        func lines(_ model: String, _ headers: [String: String] = [:]) -> [String: String] {
            var request = RequestDescription()
            request.model = model
            request.headers = headers
            let lines = snapshot.explain(request, draw: 0).lines
            return Dictionary(lines.map { ($0.label, $0.text) }) { first, _ in first }
        }
        let sql = lines("sql")
        #expect(sql["model"] == "'sql', an adapter of 'llama'")
        #expect(sql["answer"] == "model 'llama', version 'v1'")
        #expect(sql["pool"] == "gpus, lora: a, b")
        #expect(sql["asked as"] == "'sql'")
        #expect(sql["adapter"]?.hasPrefix("'sql': whoever holds it") == true)
        #expect(lines("small")["asked as"] == "'meta/llama'")
        #expect(lines("small")["adapter"] == "none is named; the least loaded is asked")
        #expect(lines("own")["adapter"]?.hasPrefix("'law': ") == true)
        #expect(lines("plain", ["x-adapter": "z"])["adapter"]?.hasPrefix("'z': ") == true)
        #expect(lines("sqk")["answer"]?.contains("did you mean 'sql'?") == true)
        #expect(snapshot.adapter(named: "poems", version: 0) == "poems")
        #expect(snapshot.adapter(named: "llama", version: 0) == nil)
        #expect(snapshot.adapter(named: "sql", version: 2) == nil)
    }

    @Test("names that mean two things, and keys that mean none, are told of")
    func problems() {
        func problems(_ from: String, _ to: String) -> [String] {
            ConfigurationTests.problems(
                AdapterBalancingTests.good.replacing(from, with: to))
        }
        #expect(
            problems("[sql, poems]", "[sql, own]")
                == [
                    "g.yaml, line 8: adapter 'own' of model 'llama' is also the name of a model or an alias"
                ])
        #expect(
            problems("[sql, poems]", "[sql, small]").first?.contains("or an alias") == true)
        #expect(
            problems("[sql, poems]", "[sql, sql]").first?
                .contains("is already one of model 'llama'") == true)
        #expect(
            problems("[sql, poems]", "{sql: 1}").first?.contains("a text or a list") == true)
        #expect(
            problems("adapter: true", "adapter: maybe").first?.contains("true or false") == true)
        #expect(
            problems("balance: lora, adapter_key", "balance: hash, hash_key: user, adapter_key")
                .first?.contains("which only balance: lora goes by") == true)
        #expect(problems("\"header:X-Adapter\"", "colour").count == 1)
        #expect(problems("{small: llama}", "{small: sql}").count == 1)
    }

    @Test("pools that go by adapters and hear of none are warned of")
    func warnings() throws {
        let text = AdapterBalancingTests.good
            .replacing("    adapters: [sql, poems]\n", with: "")
            .replacing(", adapter: true", with: "").replacing("load: {path: /metrics}", with: "")
            .replacing("lora, }", with: "lora}")
        let snapshot = try RoutingSnapshot(yaml: Array(text.utf8), file: "g.yaml")
        #expect(snapshot.warnings.count == 2)
        #expect(snapshot.warnings.first?.contains("balances by lora without load") == true)
        #expect(snapshot.warnings.last?.contains("no model that goes there has adapters") == true)
    }
}

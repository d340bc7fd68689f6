// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("Tenant shares")
struct TenantSharesTests {
    /// A model that serves one request at a time, always the least served tenant's.
    private struct Queue {
        struct Request {
            var tenant: String
            var cost: Double
        }

        static let costMax = 40.0
        var random: SeededRandom
        var shares = TenantShares()
        var waiting: [Request] = []
        /// What each tenant has had.
        var had: [String: Double] = [:]

        mutating func come(_ tenant: String) {
            shares.enter(tenant, waiting: waiting.lazy.map(\.tenant))
            waiting.append(
                Request(tenant: tenant, cost: .random(in: 1...Self.costMax, using: &random)))
        }

        mutating func serve() {
            let least = waiting.indices.min {
                shares.share(of: waiting[$0].tenant) < shares.share(of: waiting[$1].tenant)
            }
            guard let least else { return }
            let request = waiting.remove(at: least)
            shares.admit(request.tenant)
            shares.charge(request.tenant, request.cost)
            had[request.tenant, default: 0] += request.cost
            shares.leave(request.tenant)
        }
    }

    @Test(
        "those who wait all the time get the same, whoever else comes and goes", arguments: 0..<60)
    func lives(seed: Int) {
        var queue = Queue(random: SeededRandom(seed: UInt64(seed)))
        for _ in 0..<20 {
            // A while in which some are there now and then, and at times nobody is.
            for _ in 0..<Int.random(in: 0..<80, using: &queue.random) {
                if Bool.random(using: &queue.random) {
                    queue.come("t\(Int.random(in: 0..<5, using: &queue.random))")
                } else {
                    queue.serve()
                }
            }
            // Two that are never without a request, one of them new, beside those who wait.
            let before = queue.had
            let pair = ["t0", "new \(seed) \(queue.had.count)"]
            for _ in 0..<60 {
                // Two each: one that has none, if only for a moment, starts over.
                for tenant in pair {
                    while queue.waiting.count(where: { $0.tenant == tenant }) < 2 {
                        queue.come(tenant)
                    }
                }
                queue.serve()
                let gains = pair.map { queue.had[$0, default: 0] - before[$0, default: 0] }
                // One may have begun with a request more than the other, and be one ahead.
                #expect(abs(gains[0] - gains[1]) <= 3 * Queue.costMax, "seed \(seed)")
            }
            if Bool.random(using: &queue.random) { while !queue.waiting.isEmpty { queue.serve() } }
        }
    }

    @Test("what was had while nobody else wanted it is not held against a tenant")
    func pastUse() throws {
        for hasCompany in [false, true] {
            var policy = SchedulerPolicy()
            policy.runningMax = 2
            let tiny = try TinyCore(blocks: 800, context: 2000, policy: policy)
            func submit(_ tenant: String, _ count: Int = 12) throws -> Hearing {
                try tiny.submit("a prompt of \(tenant)") {
                    $0.tenant = tenant
                    $0.ignoresEnd = true
                    $0.tokensMax = count
                }
            }
            // One that has little and stays lets nobody forget.
            let company = hasCompany ? try submit("company", 1500) : nil
            for _ in 0..<40 {
                let hearing = try submit("old")
                while hearing.usage == nil { tiny.run(steps: 1) }
            }
            if !hasCompany { _ = try submit("company", 1500) }
            let old = try (0..<6).map { _ in try submit("old") }
            let new = try (0..<6).map { _ in try submit("new") }
            while new.count(where: { $0.usage != nil }) < 4 { tiny.run(steps: 1) }
            #expect(old.count { $0.usage != nil } >= 2)
            #expect(company?.usage == nil)
        }
    }

    @Test("absent tenants are forgotten sooner or later")
    func bounded() {
        var shares = TenantShares()
        shares.enter("always", waiting: [])
        for number in 0..<20_000 {
            shares.enter("\(number)", waiting: ["always"])
            shares.charge("\(number)", 5)
            shares.leave("\(number)")
            #expect(shares.count <= TenantShares.tenantCountMax + 2)
        }
        shares.leave("always")
        #expect(shares.count == 0)
    }
}

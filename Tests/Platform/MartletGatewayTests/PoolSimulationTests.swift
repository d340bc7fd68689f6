// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import Testing

@Suite("Pool simulation")
struct PoolSimulationTests {
    @Test("over 4 000 schedules of failures, drains and reloads nobody is asked who must not be")
    func schedules() {
        var totals = PoolSimulation.Totals()
        for seed in 0..<UInt64(4_000) {
            var simulation = PoolSimulation(seed: seed)
            if let problem = simulation.run() {
                Issue.record("seed \(seed): \(problem)")
                return
            }
            totals.add(simulation.totals)
        }
        // Each of these has been seen, or the schedules would show little.
        #expect(totals.attempts > 200_000, "\(totals)")
        #expect(totals.retries > 10_000, "\(totals)")
        #expect(totals.refusedRetries > 1_000, "\(totals)")
        #expect(totals.openings > 1_000, "\(totals)")
        #expect(totals.ejections > 1_000, "\(totals)")
        #expect(totals.reloads > 5_000, "\(totals)")
        #expect(totals.waits > 5_000, "\(totals)")
        #expect(totals.rests > 5_000, "\(totals)")
        #expect(totals.askedResting > 300, "\(totals)")
        #expect(totals.slowStarts > 1_000, "\(totals)")
    }
}

/// One pool as a gateway would drive it: requests with retries, waiting, health checks, drains and
/// reloads, against members that fail as they like. Everything comes from the seed.
struct PoolSimulation {
    struct Totals {
        var attempts = 0
        var retries = 0
        var refusedRetries = 0
        var openings = 0
        var ejections = 0
        var reloads = 0
        var waits = 0
        var rests = 0
        var askedResting = 0
        var slowStarts = 0

        mutating func add(_ other: Totals) {
            attempts += other.attempts
            retries += other.retries
            refusedRetries += other.refusedRetries
            openings += other.openings
            ejections += other.ejections
            reloads += other.reloads
            waits += other.waits
            rests += other.rests
            askedResting += other.askedResting
            slowStarts += other.slowStarts
        }
    }

    /// An endpoint, whichever pools it is in.
    private struct Endpoint {
        var failureShare = 0.0
        var restShare = 0.0
        var isDown = false
    }

    private struct Request {
        var tried = TriedMembers()
        var names: Set<String> = []
        var attempts = 0
    }

    private struct Call {
        var attempt: PoolMachine.Attempt
        var request: Request
        var generation: Int
        var name: String
    }

    private struct Waiter {
        var ticket: PriorityBulkhead.Ticket
        var until: MonotonicInstant
        var request: Request
    }

    private struct Problem: Error { var text: String }

    /// A pool's machine and what is out of it: a reload leaves the one before to its calls.
    private struct Generation {
        var machine: PoolMachine
        var names: [String]
        var open = 0
        var granted = 0
        var waiters: [Waiter] = []
        /// First attempts and retries since the budget began.
        var requests = 0
        var retries = 0
        var budgetSince: MonotonicInstant
    }

    private(set) var totals = Totals()
    private var random: SeededRandom
    private var now = MonotonicInstant(nanoseconds: 1_000_000_000)
    private var endpoints: [String: Endpoint] = [:]
    private var generations: [Generation] = []
    private var calls: [Call] = []
    private var draining: Set<String> = []
    private var ejected: Set<String> = []
    private var open: Set<String> = []
    private var policy: PoolPolicy

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        policy = PoolPolicy()
        policy.attempts = Int.random(in: 1...4, using: &random)
        policy.slowStart = Bool.random(using: &random) ? .seconds(3) : .zero
        policy.retries.share = Double.random(in: 0...0.5, using: &random)
        policy.retries.leastPerSecond = Double.random(in: 0...2, using: &random)
        policy.breaker.callsMin = Int.random(in: 3...12, using: &random)
        policy.breaker.openTime = .milliseconds(Int.random(in: 200...3_000, using: &random))
        policy.breaker.probes = Int.random(in: 1...3, using: &random)
        policy.breaker.probeTimeout = .seconds(600)
        policy.outliers.failuresInRow = Int.random(in: 2...6, using: &random)
        policy.outliers.ejectionTime = .seconds(2)
        policy.outliers.ejectedShareMax = Double.random(in: 0...1, using: &random)
        policy.bulkhead.concurrencyMax = Int.random(in: 1...8, using: &random)
        policy.bulkhead.waitingMax = Int.random(in: 0...4, using: &random)
        policy.bulkhead.waitMax = .milliseconds(500)
        policy.health = Bool.random(using: &random) ? HealthCheckPolicy() : nil
        policy.balance =
            [.leastLoaded, .powerOfTwo, .weighted, .hash][
                Int.random(in: 0..<4, using: &random)]
        for name in ["a", "b", "c", "d", "e"] { endpoints[name] = Endpoint() }
        let names = drawNames()
        generations = [
            Generation(
                machine: PoolMachine(seats(names, after: nil), policy: policy, at: now),
                names: names, budgetSince: now)
        ]
    }

    /// - Returns: what went wrong; nil when nothing did.
    mutating func run() -> String? {
        do throws(Problem) {
            for _ in 0..<180 { try step() }
            try settle()
            return nil
        } catch { return error.text }
    }

    private mutating func chance(_ share: Double) -> Bool {
        Double.random(in: 0..<1, using: &random) < share
    }

    private mutating func drawNames() -> [String] {
        let all = ["a", "b", "c", "d", "e"].shuffled(using: &random)
        return Array(all.prefix(Int.random(in: 1...5, using: &random)))
    }

    private mutating func seats(
        _ names: [String], after before: Generation?
    ) -> [PoolMachine.Seat] {
        names.map { name in
            var seat = PoolMachine.Seat(
                name: name, weight: Int.random(in: 1...4, using: &random),
                priority: chance(0.2) ? 1 : 0)
            seat.isDraining = draining.contains(name)
            if let index = before?.names.firstIndex(of: name) {
                seat.inherited = before?.machine.state(of: index)
            }
            return seat
        }
    }

    /// How many of so many may be out at one time.
    private func ejectedMax(_ count: Int) -> Int {
        guard count > 1 else { return 0 }
        return min(max(1, Int(Double(count) * policy.outliers.ejectedShareMax)), count - 1)
    }

    // MARK: Steps

    private mutating func step() throws(Problem) {
        now = now.advanced(by: .milliseconds(Int.random(in: 0...150, using: &random)))
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<9: try begin(Request(), isFirst: true)
        case 9..<15: try endOne()
        case 15: changeEndpoint()
        case 16: checkHealth()
        case 17: drainOrResume()
        case 18: if chance(0.35) { try reload() }
        default: try giveUpWaiting()
        }
        try check()
    }

    private mutating func changeEndpoint() {
        guard let name = endpoints.keys.sorted().randomElement(using: &random) else { return }
        endpoints[name] = Endpoint(
            failureShare: chance(0.5) ? Double.random(in: 0...1, using: &random) : 0,
            restShare: chance(0.3) ? 0.5 : 0, isDown: chance(0.2))
    }

    private mutating func checkHealth() {
        guard let policy = policy.health else { return }
        let last = generations.count - 1
        for (index, name) in generations[last].names.enumerated() {
            let isWell = !(endpoints[name]?.isDown ?? true)
            _ = generations[last].machine.take(index, isWell: isWell, policy)
        }
    }

    private mutating func drainOrResume() {
        let last = generations.count - 1
        guard let name = generations[last].names.randomElement(using: &random),
            let index = generations[last].names.firstIndex(of: name)
        else { return }
        let isDraining = chance(0.4)
        if isDraining { draining.insert(name) } else { draining.remove(name) }
        generations[last].machine.setDraining(index, isDraining)
    }

    /// Some members come, some go, the order changes.
    private mutating func reload() throws(Problem) {
        totals.reloads += 1
        let last = generations.count - 1
        let before = generations[last]
        let old = Dictionary(
            uniqueKeysWithValues: zip(before.names, before.machine.report(at: now)))
        let names = drawNames()
        let machine = PoolMachine(
            seats(names, after: before), policy: policy, at: now, after: before.machine)
        var ejectedBefore = 0
        for (index, report) in machine.report(at: now).enumerated() {
            let name = names[index]
            guard report.isDraining == draining.contains(name) else {
                throw Problem(text: "the drain of \(name) is lost by a reload")
            }
            guard let known = old[name] else { continue }
            guard report.isWell == known.isWell, report.rests == known.rests,
                report.breaker == known.breaker
            else { throw Problem(text: "\(name) was \(known), and is \(report) after a reload") }
            if known.isEjected { ejectedBefore += 1 }
            if report.isEjected, !known.isEjected {
                throw Problem(text: "\(name) is ejected by a reload")
            }
        }
        let kept = machine.report(at: now).count { $0.isEjected }
        guard kept == min(ejectedBefore, ejectedMax(names.count)) else {
            throw Problem(text: "of \(ejectedBefore) ejections \(kept) are left after a reload")
        }
        var next = Generation(machine: machine, names: names, budgetSince: before.budgetSince)
        (next.requests, next.retries) = (before.requests, before.retries)
        generations.append(next)
    }

    // MARK: Requests

    private mutating func begin(
        _ request: Request, isFirst: Bool, holdsPlace: Bool = false
    ) throws(Problem) {
        let last = generations.count - 1
        let before = generations[last].machine.report(at: now)
        var choice = PoolState.Choice.leastLoaded
        switch policy.balance {
        case .powerOfTwo: choice = .powerOfTwo
        case .weighted: choice = .weighted
        case .hash: choice = .hash(UInt64.random(in: 0..<50, using: &random))
        default: break
        }
        if isFirst { generations[last].requests += 1 }
        let beginning = generations[last].machine.begin(
            choice, tried: request.tried, isFirst: isFirst, holdsPlace: holdsPlace,
            priority: .normal, at: now, using: &random)
        if holdsPlace { generations[last].granted -= 1 }
        switch beginning {
        case .full: try wait(request)
        case .nobody:
            try hasNobody(request, before)
            try grant(last)
        case .attempt(let attempt): try begun(attempt, request, before)
        }
    }

    private mutating func begun(
        _ attempt: PoolMachine.Attempt, _ request: Request,
        _ before: [PoolMachine.MemberReport]
    ) throws(Problem) {
        let last = generations.count - 1
        let name = generations[last].names[attempt.member]
        let member = before[attempt.member]
        totals.attempts += 1
        guard !member.isDraining else { throw Problem(text: "\(name) drains and is asked") }
        guard member.isWell else { throw Problem(text: "\(name) is down and is asked") }
        let after = generations[last].machine.report(at: now)[attempt.member]
        guard !after.isEjected else { throw Problem(text: "\(name) is ejected and is asked") }
        guard after.breaker != "open" else {
            throw Problem(text: "\(name) is asked behind its open breaker")
        }
        guard !request.tried.contains(attempt.member) else {
            throw Problem(text: "\(name) is asked twice for one request")
        }
        if member.rests > .zero {
            totals.askedResting += 1
            guard request.tried.count == 0 else {
                throw Problem(text: "\(name) rests and is asked for a retry")
            }
            let others = generations[last].machine.report(at: now).indices.filter {
                $0 != attempt.member && generations[last].machine.pool.members[$0].isUp
            }
            guard others.isEmpty else {
                throw Problem(text: "\(name) rests and is asked before others that do not")
            }
        }
        if policy.slowStart > .zero,
            generations[last].machine.pool.members[attempt.member].upSince
                .map({ $0.duration(to: now) < policy.slowStart }) ?? false
        {
            totals.slowStarts += 1
        }
        generations[last].open += 1
        var request = request
        request.attempts += 1
        calls.append(Call(attempt: attempt, request: request, generation: last, name: name))
    }

    /// Nobody could be asked: then there was truly nobody.
    private func hasNobody(
        _ request: Request, _ before: [PoolMachine.MemberReport]
    ) throws(Problem) {
        let last = generations.count - 1
        for (index, member) in generations[last].machine.report(at: now).enumerated() {
            let isFree =
                member.isWell && !member.isDraining && !member.isEjected
                && member.breaker == "closed" && member.rests == .zero
                && !request.tried.contains(index)
            if isFree {
                throw Problem(text: "\(generations[last].names[index]) is well and is not asked")
            }
        }
    }

    private mutating func wait(_ request: Request) throws(Problem) {
        let last = generations.count - 1
        let answer = generations[last].machine.queue(.normal, at: now)
        switch answer {
        case .granted:
            generations[last].granted += 1
            try begin(request, isFirst: false, holdsPlace: true)
        case .refused: break
        case .waiting(let ticket, let until, let shed):
            totals.waits += 1
            if shed != nil { throw Problem(text: "an equal has lost its place in the queue") }
            generations[last].waiters.append(
                Waiter(ticket: ticket, until: until, request: request))
        }
    }

    private mutating func giveUpWaiting() throws(Problem) {
        let last = generations.count - 1
        guard !generations[last].waiters.isEmpty else { return }
        let place = Int.random(in: 0..<generations[last].waiters.count, using: &random)
        let waiter = generations[last].waiters.remove(at: place)
        _ = generations[last].machine.stopWaiting(waiter.ticket)
    }

    /// Hands free places on, as the shell does.
    private mutating func grant(_ number: Int) throws(Problem) {
        while let ticket = generations[number].machine.grant(at: now) {
            generations[number].granted += 1
            guard
                let place = generations[number].waiters.firstIndex(where: { $0.ticket == ticket })
            else { throw Problem(text: "a place goes to somebody who does not wait") }
            let waiter = generations[number].waiters.remove(at: place)
            guard number == generations.count - 1 else {
                // Its configuration is gone: the request is not followed any further.
                generations[number].machine.leave()
                generations[number].granted -= 1
                continue
            }
            try begin(waiter.request, isFirst: false, holdsPlace: true)
        }
        let free = generations[number].machine.crowd
        if free.taken < free.places,
            generations[number].waiters.contains(where: { $0.until > now })
        {
            throw Problem(text: "somebody waits while a place is free")
        }
    }

    private mutating func endOne() throws(Problem) {
        guard !calls.isEmpty else { return }
        try end(calls.remove(at: Int.random(in: 0..<calls.count, using: &random)))
    }

    private mutating func end(_ call: Call) throws(Problem) {
        let endpoint = endpoints[call.name] ?? Endpoint()
        let rests = chance(endpoint.restShare)
        let fails = !rests && (endpoint.isDown || chance(endpoint.failureShare))
        let isGone = !fails && !rests && chance(0.05)
        generations[call.generation].open -= 1
        var rest: Duration?
        if rests {
            totals.rests += 1
            // What upstreams ask for may be a day.
            rest = .seconds(chance(0.1) ? 86_400 : Int.random(in: 1...5, using: &random))
        }
        generations[call.generation].machine.finish(
            call.attempt, fails ? .failure : rests || isGone ? .neutral : .success,
            restsFor: rest, at: now)
        try grant(call.generation)
        guard fails || rests, call.generation == generations.count - 1,
            call.request.attempts < policy.attempts
        else { return }
        try retry(call)
    }

    private mutating func retry(_ call: Call) throws(Problem) {
        var request = call.request
        request.tried.add(call.attempt.member)
        guard generations[call.generation].machine.takeRetry(at: now) else {
            totals.refusedRetries += 1
            return
        }
        totals.retries += 1
        generations[call.generation].retries += 1
        try begin(request, isFirst: false)
    }

    // MARK: What must hold

    private mutating func check() throws(Problem) {
        for (number, generation) in generations.enumerated() {
            let crowd = generation.machine.crowd
            guard crowd.taken == generation.open + generation.granted else {
                throw Problem(
                    text: "\(crowd.taken) places are taken by \(generation.open) calls")
            }
            guard crowd.taken <= policy.bulkhead.concurrencyMax else {
                throw Problem(text: "\(crowd.taken) requests at one time")
            }
            let isFree = crowd.taken < crowd.places
            guard !isFree || !generation.waiters.contains(where: { $0.until > now }) else {
                throw Problem(text: "somebody waits while a place is free")
            }
            let reports = generation.machine.report(at: now)
            guard reports.reduce(0, { $0 + $1.inFlight }) == generation.open else {
                throw Problem(text: "calls are lost in generation \(number)")
            }
            guard reports.count(where: { $0.isEjected }) <= ejectedMax(reports.count) else {
                throw Problem(text: "more are ejected than may be")
            }
            guard reports.allSatisfy({ $0.rests <= PoolMachine.restMax }) else {
                throw Problem(text: "somebody rests for too long")
            }
            let windows = generation.budgetSince.duration(to: now) / policy.retries.window
            let allowed =
                policy.retries.share * Double(generation.requests)
                + policy.retries.reserve * (windows.rounded(.up) + 1)
            guard Double(generation.retries) <= allowed + 1e-6 else {
                throw Problem(text: "\(generation.retries) retries, \(allowed) allowed")
            }
        }
        let last = generations[generations.count - 1]
        for (name, report) in zip(last.names, last.machine.report(at: now)) {
            if report.breaker == "open", open.insert(name).inserted { totals.openings += 1 }
            if report.breaker == "closed" { open.remove(name) }
            if report.isEjected, ejected.insert(name).inserted { totals.ejections += 1 }
            if !report.isEjected { ejected.remove(name) }
        }
    }

    /// Everything becomes well: then everything is asked again, and nothing is left behind.
    private mutating func settle() throws(Problem) {
        for name in endpoints.keys { endpoints[name] = Endpoint() }
        while !calls.isEmpty { try endOne() }
        draining = []
        let last = generations.count - 1
        for index in generations[last].names.indices {
            generations[last].machine.setDraining(index, false)
        }
        now = now.advanced(by: .seconds(700))
        for _ in 0..<3 { checkHealth() }
        var asked: [Int: Int] = [:]
        for _ in 0..<400 {
            now = now.advanced(by: .milliseconds(100))
            for _ in 0..<policy.bulkhead.concurrencyMax {
                try begin(Request(), isFirst: true)
            }
            for call in calls { asked[call.attempt.member, default: 0] += 1 }
            while !calls.isEmpty { try endOne() }
        }
        let crowd = generations[last].machine.crowd
        guard crowd.taken == 0, crowd.waiting == 0 else {
            throw Problem(text: "\(crowd) after everything has ended")
        }
        for (index, report) in generations[last].machine.report(at: now).enumerated() {
            // A breaker closes by being asked, and not everybody is.
            let isClosed = report.breaker == "closed" || asked[index, default: 0] < 50
            guard report.isWell, isClosed, !report.isEjected else {
                throw Problem(text: "\(report) after everything is well")
            }
        }
    }
}

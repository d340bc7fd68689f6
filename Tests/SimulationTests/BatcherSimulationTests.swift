// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletServing
internal import Testing

@Suite("Batcher simulation")
struct BatcherSimulationTests {
    @Test("over 10 000 schedules nothing is lost, mixed, late or answered twice")
    func schedules() {
        var released = 0
        var inline = 0
        var refused: [String: Int] = [:]
        for seed in 0..<UInt64(10_000) {
            var simulation = BatcherSimulation(seed: seed)
            simulation.run()
            released += simulation.releasedCount
            inline += simulation.inlineCount
            refused.merge(simulation.refusedCounts, uniquingKeysWith: +)
            if let fault = simulation.fault {
                Issue.record("seed \(seed): \(fault)")
                return
            }
        }
        // The schedules must reach every way out, or they prove little.
        #expect(released > 100_000)
        #expect(inline > 5_000)
        for way in ["queueFull", "tooManyRows", "timedOut", "deadlineExceeded", "cancelled"] {
            #expect(refused[way, default: 0] > 500, "\(way)")
        }
    }
}

/// One seeded schedule: arrivals, cancellations, time, threads that take and finish batches, woken
/// only as the batcher's shell would wake them, and callers that run their own requests.
struct BatcherSimulation {
    struct Request {
        var id: Int
        var item: BatchItem
        var claim: BatcherState.Claim { item.claim }
        var level: Int
        var arrival: MonotonicInstant
        var limit: MonotonicInstant?
        var isDelayed = false
        var isInside = false
        var answers = 0
    }

    final class Machine {
        var state: BatcherState

        init(policy: BatchingPolicy, instances: Int) {
            state = BatcherState(policy: policy, instances: instances)
        }
    }

    enum Thread { case awake, asleep(until: MonotonicInstant?), running(instance: Int) }

    var random: SeededRandom
    let policy: BatchingPolicy
    let machine: Machine
    var threads: [Thread]
    var requests: [Request] = []
    var waiting: Set<Int> = []
    var numbers: [ObjectIdentifier: Int] = [:]
    /// By instance: who runs on it, and until when.
    var running: [Int: [Int]] = [:]
    /// By instance: what a thread runs on it.
    var batches: [Int: [BatchItem]] = [:]
    var finishes: [Int: MonotonicInstant] = [:]
    /// Longest run; short ones make callers run their own requests.
    let runMicrosecondsMax: Int
    var now = MonotonicInstant(nanoseconds: 0)
    var lastReleased = -1
    var releasedCount = 0
    var inlineCount = 0
    var refusedCounts: [String: Int] = [:]
    var fault: String?

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        policy = BatcherSimulation.makePolicy(&random)
        let count = Int.random(in: 1...3, using: &random)
        machine = Machine(policy: policy, instances: count)
        threads = Array(repeating: .awake, count: count)
        runMicrosecondsMax = [20, 100, 4000][Int.random(in: 0..<3, using: &random)]
    }

    static func makePolicy(_ random: inout SeededRandom) -> BatchingPolicy {
        var policy = BatchingPolicy()
        policy.rowsMax = Int.random(in: 1...16, using: &random)
        policy.joinsRequests = policy.rowsMax > 1 && Int.random(in: 0..<5, using: &random) > 0
        if Bool.random(using: &random) {
            policy.queueDelay = .microseconds(Int.random(in: 1...3000, using: &random))
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
            policy.preferredRows = Array(
                Set((0..<2).map { _ in Int.random(in: 1...policy.rowsMax, using: &random) })
            ).sorted()
        }
        policy.inlineRunLimit = .microseconds(Int.random(in: 0...60, using: &random))
        policy.inlineInputBytesMax = Int.random(in: 0...64, using: &random)
        policy.preservesOrdering = Int.random(in: 0..<4, using: &random) == 0
        let levels = policy.preservesOrdering ? 1 : Int.random(in: 1...3, using: &random)
        policy.levels = (0..<levels).map { _ in
            var level = BatchingPolicy.Level()
            level.waitingMax = Int.random(in: 1...24, using: &random)
            if Bool.random(using: &random) {
                level.timeout = .microseconds(Int.random(in: 100...8000, using: &random))
            }
            level.allowsTimeoutOverride = Bool.random(using: &random)
            level.delaysOnTimeout = !policy.preservesOrdering && Bool.random(using: &random)
            return level
        }
        policy.defaultLevel = Int.random(in: 0..<levels, using: &random)
        return policy
    }

    mutating func fail(_ message: String) { if fault == nil { fault = message } }

    mutating func run() {
        var arrivalsLeft = Int.random(in: 1...60, using: &random)
        let pace = Int.random(in: 1...2000, using: &random)
        var nextArrival = now
        var steps = 0
        while fault == nil {
            steps += 1
            if steps > 10_000 { return fail("no end in sight") }
            wakeAll()
            let finish = nextFinish()
            var candidates = [finish?.until, machine.state.nextExpiry, nextWake()].compactMap { $0 }
            if arrivalsLeft > 0 { candidates.append(nextArrival) }
            guard let next = candidates.min() else { break }
            now = max(now, next)
            if arrivalsLeft > 0, nextArrival <= now {
                arrivalsLeft -= 1
                arrive()
                nextArrival = now.advanced(
                    by: .microseconds(Int.random(in: 0...pace, using: &random)))
                if Int.random(in: 0..<4, using: &random) == 0 { cancelSome() }
            } else if let expiry = machine.state.nextExpiry, expiry <= now {
                var actions = BatcherActions()
                machine.state.expire(at: now, into: &actions)
                perform(actions)
                checkNothingOverdue()
            } else if let finish, finish.until <= now {
                finishRun(finish.instance)
            }
        }
        guard fault == nil else { return }
        if machine.state.occupiedCount != 0 {
            fail("\(machine.state.occupiedCount) requests left inside")
        }
        for request in requests where request.answers != 1 {
            fail("request \(request.id) was answered \(request.answers) times")
        }
    }

    // MARK: Events

    mutating func arrive() {
        let id = requests.count
        var key = BatchKey()
        if Bool.random(using: &random) {
            key.append(Int.random(in: 1...2, using: &random))
        }
        if Int.random(in: 0..<20, using: &random) == 0 { key = .alone }
        var claim = BatcherState.Claim(
            rows: Int.random(in: 1...5, using: &random), key: key,
            priority: UInt64.random(in: 0...4, using: &random),
            inputBytes: Int.random(in: 0...3, using: &random) * 16,
            allowsInlineRun: Bool.random(using: &random))
        if Int.random(in: 0..<4, using: &random) == 0 {
            claim.timeout = .microseconds(Int.random(in: 1...4000, using: &random))
        }
        if Int.random(in: 0..<3, using: &random) == 0 {
            claim.deadline = now.advanced(
                by: .microseconds(Int.random(in: 0...9000, using: &random)))
        }
        let isNamed = claim.priority >= 1 && claim.priority <= UInt64(policy.levels.count)
        let level = isNamed ? Int(claim.priority) - 1 : policy.defaultLevel
        let rules = policy.levels[level]
        var timeout = rules.timeout
        if rules.allowsTimeoutOverride, let wish = claim.timeout {
            timeout = min(wish, timeout ?? wish)
        }
        let item = BatchItem(claim: claim) { _, _ in }
        numbers[ObjectIdentifier(item)] = id
        requests.append(
            Request(
                id: id, item: item, level: level, arrival: now,
                limit: timeout.map(now.advanced(by:))))
        switch machine.state.enqueue(item, at: now) {
        case .accepted(let signals):
            requests[id].isInside = true
            waiting.insert(id)
            if signals { wakeOne() }
            let inLevel = waiting.count { requests[$0].level == level }
            if inLevel > rules.waitingMax { fail("level \(level) holds \(inLevel) requests") }
        case .runHere(let instance): runHere(id, on: instance)
        case .refused(let reason):
            if case .queueFull = reason {
                let inLevel = waiting.count { requests[$0].level == level }
                if inLevel < rules.waitingMax { fail("refused as full with \(inLevel) waiting") }
            }
            answerRefusal(id, reason)
        }
    }

    /// The caller runs its own request: only at once, alone, ahead of nobody.
    mutating func runHere(_ id: Int, on instance: Int) {
        let claim = requests[id].claim
        if !claim.allowsInlineRun { fail("\(id) did not offer to run itself") }
        if claim.inputBytes > policy.inlineInputBytesMax {
            fail("\(id) is too large to run itself")
        }
        if policy.inlineRunLimit == .zero { fail("\(id) runs itself against the policy") }
        if !waiting.isEmpty { fail("\(id) runs itself before \(waiting)") }
        if policy.preservesOrdering, !running.isEmpty { fail("\(id) would leave out of order") }
        if policy.joinsRequests, policy.queueDelay > .zero, claim.rows < policy.rowsMax,
            !policy.preferredRows.contains(claim.rows)
        {
            fail("\(id) runs itself although it should wait for others")
        }
        inlineCount += 1
        start([id], on: instance)
    }

    mutating func start(_ batch: [Int], on instance: Int) {
        if running[instance] != nil { fail("instance \(instance) was lent twice") }
        running[instance] = batch
        finishes[instance] = now.advanced(
            by: .microseconds(Int.random(in: 1...runMicrosecondsMax, using: &random)))
    }

    mutating func cancelSome() {
        guard let id = (0..<requests.count).randomElement(using: &random),
            requests[id].isInside
        else { return }
        var actions = BatcherActions()
        machine.state.cancel(requests[id].item, into: &actions)
        let isInside = requests[id].answers == 0
        if isInside != actions.refused.contains(where: { number($0.item) == id }) {
            fail("cancelling \(id) gave \(actions.refused)")
        }
        perform(actions)
    }

    mutating func finishRun(_ instance: Int) {
        var actions = BatcherActions()
        var signals = false
        if var batch = batches.removeValue(forKey: instance) {
            machine.state.finish(instance: instance, batch: &batch, at: now, into: &actions)
            if !batch.isEmpty { fail("a batch was not taken back") }
        } else if let id = running[instance]?.first {
            let ending = machine.state.finishInline(
                requests[id].item, instance: instance, at: now, into: &actions)
            signals = ending.signals
            if ending.isLate { answerRefusal(id, .deadlineExceeded) } else { release(id) }
        }
        running[instance] = nil
        finishes[instance] = nil
        let thread = threads.firstIndex {
            if case .running(instance) = $0 { true } else { false }
        }
        if let thread { threads[thread] = .awake }
        if signals { wakeOne() }
        perform(actions)
    }

    func number(_ item: BatchItem) -> Int { numbers[ObjectIdentifier(item)] ?? -1 }

    mutating func wakeAll() {
        for index in threads.indices {
            if case .asleep(let until?) = threads[index], until <= now { threads[index] = .awake }
        }
        // A thread that takes a batch may wake another, which then is looked at too.
        while fault == nil,
            let index = threads.firstIndex(where: {
                if case .awake = $0 { true } else { false }
            })
        { take(index) }
    }

    mutating func take(_ thread: Int) {
        var actions = BatcherActions()
        let step = machine.state.takeBatch(at: now, into: &actions)
        let batch = actions.batch.map(number)
        let items = actions.batch
        actions.batch = []
        perform(actions)
        switch step {
        case .wait(let until):
            if !batch.isEmpty { fail("waits with a batch") }
            if until == nil, !waiting.isEmpty, running.count < threads.count {
                fail("sleeps for ever with requests waiting")
            }
            threads[thread] = .asleep(until: until)
        case .run(let instance, let signalsAnother):
            check(batch)
            for id in batch { waiting.remove(id) }
            batches[instance] = items
            start(batch, on: instance)
            threads[thread] = .running(instance: instance)
            if signalsAnother { wakeOne() }
        }
    }

    mutating func wakeOne() {
        let asleep = threads.firstIndex { if case .asleep = $0 { true } else { false } }
        if let asleep { threads[asleep] = .awake }
    }

    func nextWake() -> MonotonicInstant? {
        threads.compactMap { if case .asleep(let until) = $0 { until } else { nil } }.min()
    }

    func nextFinish() -> (instance: Int, until: MonotonicInstant)? {
        finishes.min { ($0.value, $0.key) < ($1.value, $1.key) }.map { ($0.key, $0.value) }
    }

    // MARK: Checks

    mutating func check(_ batch: [Int]) {
        guard let first = batch.first else { return fail("an empty batch") }
        let lead = requests[first]
        let rows = batch.reduce(0) { $0 + requests[$1].claim.rows }
        if batch.count > 1 {
            if !policy.joinsRequests { fail("joined requests that must run alone") }
            if rows > policy.rowsMax { fail("\(rows) rows in a batch of \(policy.rowsMax)") }
        }
        for id in batch {
            let request = requests[id]
            if !waiting.contains(id) || request.answers > 0 { fail("\(id) ran without waiting") }
            if batch.count > 1, request.claim.key != lead.claim.key { fail("keys are mixed") }
            if let deadline = request.claim.deadline, deadline <= now {
                fail("\(id) ran past its deadline")
            }
        }
        for id in waiting where requests[id].level < lead.level {
            fail("level \(lead.level) ran before \(id) of level \(requests[id].level)")
        }
        let isBehind = waiting.contains { id in
            requests[id].level == lead.level && id < first && !isSetBack(id)
        }
        if isBehind { fail("\(first) overtook an earlier request to lead its batch") }
    }

    func isSetBack(_ id: Int) -> Bool {
        policy.levels[requests[id].level].delaysOnTimeout
            && requests[id].limit.map { $0 <= now } ?? false
    }

    mutating func checkNothingOverdue() {
        for id in waiting {
            if let deadline = requests[id].claim.deadline, deadline <= now {
                fail("\(id) still waits after its deadline")
            }
            if let limit = requests[id].limit, limit <= now, !isSetBack(id) {
                fail("\(id) still waits after its time limit")
            }
        }
    }

    mutating func perform(_ actions: BatcherActions) {
        for (item, reason) in actions.refused { answerRefusal(number(item), reason) }
        for item in actions.released { release(number(item)) }
        if let stopped = actions.stopsInstance {
            let isWanted = running[stopped]?.contains { requests[$0].answers == 0 } ?? true
            if isWanted { fail("instance \(stopped) was stopped while somebody waits for it") }
        }
    }

    mutating func release(_ id: Int) {
        requests[id].answers += 1
        releasedCount += 1
        if waiting.contains(id) { fail("\(id) was released while waiting") }
        if policy.preservesOrdering {
            if id < lastReleased { fail("\(id) left after \(lastReleased)") }
            lastReleased = id
        }
    }

    mutating func answerRefusal(_ id: Int, _ reason: BatchRefusal) {
        requests[id].answers += 1
        waiting.remove(id)
        let request = requests[id]
        let name = String("\(reason)".prefix { $0 != "(" })
        refusedCounts[name, default: 0] += 1
        switch reason {
        case .deadlineExceeded:
            if request.claim.deadline.map({ $0 > now }) ?? true { fail("\(id) refused early") }
        case .timedOut:
            if request.limit.map({ $0 > now }) ?? true { fail("\(id) timed out early") }
        default: break
        }
    }
}

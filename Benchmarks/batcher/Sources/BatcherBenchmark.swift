// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletServing
internal import Synchronization

/// Items through enqueue → batch → answer: a closed loop of callers over a model that does nothing.
/// The twin with Go channels is beside it; `run` compares the two.
@main
struct BatcherBenchmark {
    /// Answers every request with nothing.
    final class NullRunner: BatchRunner {
        func run(_ batch: [BatchItem], cancellation: Cancellation?, times: inout BatchTimes) {
            for item in batch { item.settle(.success([])) }
        }
    }

    final class Loop: Sendable {
        let batcher: Batcher
        let left: Atomic<Int>
        let inFlight = Atomic<Int>(0)
        /// Clients make an item for every request, as the server does, instead of keeping one, as
        /// the twin's clients keep their channel.
        let makesItems: Bool

        init(batcher: Batcher, items: Int, makesItems: Bool) {
            self.batcher = batcher
            self.makesItems = makesItems
            left = Atomic(items)
        }

        func send(_ old: BatchItem?) {
            guard left.subtract(1, ordering: .relaxed).newValue >= 0 else {
                inFlight.subtract(1, ordering: .releasing)
                return
            }
            if !makesItems, let old {
                _ = batcher.submit(old, cancellation: nil)
                return
            }
            let item = BatchItem(claim: BatcherState.Claim()) { [self] _, item in send(item) }
            _ = batcher.submit(item, cancellation: nil)
        }
    }

    static func main() throws {
        let makesItems = CommandLine.arguments.contains("makes-items")
        let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        let rows = arguments.first ?? 16
        let clients = arguments.dropFirst().first ?? 1024
        let items = arguments.dropFirst(2).first ?? 4_000_000
        var policy = BatchingPolicy()
        policy.rowsMax = rows
        policy.joinsRequests = true
        policy.levels[0].waitingMax = clients * 2
        let time = SystemTime()
        let batcher = try Batcher(
            name: "null", policy: policy, instances: 1, time: time,
            timekeeper: Timekeeper(time: time)
        ) { NullRunner() }
        let loop = Loop(batcher: batcher, items: items, makesItems: makesItems)
        let begin = time.now()
        let cpuBegin = cpuNanoseconds()
        loop.inFlight.store(clients, ordering: .relaxed)
        for _ in 0..<clients { loop.send(nil) }
        while loop.inFlight.load(ordering: .acquiring) > 0 { usleep(500) }
        let wall = begin.duration(to: time.now()).nanosecondsSaturating
        let cpu = cpuNanoseconds() - cpuBegin
        let perSecond = Int(Double(items) / (Double(wall) / 1e9))
        print(
            "{\"items_per_second\": \(perSecond), "
                + "\"cpu_ns_per_item\": \(Int(cpu) / items)}")
        batcher.close(onDrained: nil)
    }

    static func cpuNanoseconds() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

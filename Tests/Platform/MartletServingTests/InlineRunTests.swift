// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletServing
internal import Synchronization
internal import Testing

@Suite("Inline runs")
struct InlineRunTests {
    /// What the runner does next, and what it did.
    final class Script: Sendable {
        struct State {
            var delayMicroseconds: UInt32 = 0
            var isHeld = false
            var threads: [pthread_t] = []
            var batches: [Int] = []
        }

        let state = Mutex(State())
        var threads: [pthread_t] { state.withLock { $0.threads } }

        func run(_ batch: [BatchItem]) {
            let delay = state.withLock { state in
                state.threads.append(pthread_self())
                state.batches.append(batch.count)
                return state.delayMicroseconds
            }
            if delay > 0 { usleep(delay) }
            while state.withLock({ $0.isHeld }) { usleep(100) }
            for item in batch { item.result = .success([]) }
        }
    }

    final class ScriptedRunner: BatchRunner {
        let script: Script
        init(_ script: Script) { self.script = script }

        func run(_ batch: [BatchItem], cancellation: Cancellation?, times: inout BatchTimes) {
            script.run(batch)
        }
    }

    /// A batcher of short runs, whatever the machine is busy with.
    private func batcher(
        _ script: Script, limit: Duration = .milliseconds(50), instances: Int = 1
    ) throws -> Batcher {
        var policy = BatchingPolicy()
        policy.inlineRunLimit = limit
        policy.rowsMax = 8
        policy.joinsRequests = true
        let time = SystemTime()
        return try Batcher(
            name: "m", policy: policy, instances: instances, time: time,
            timekeeper: Timekeeper(time: time)
        ) { ScriptedRunner(script) }
    }

    /// Where one request's answer is put.
    final class Answer: Sendable {
        private let result = Mutex<Result<Void, ServingError>?>(nil)

        var isThere: Bool { result.withLock { $0 != nil } }
        var failure: ServingError? {
            result.withLock { if case .failure(let error)? = $0 { error } else { nil } }
        }

        func fill(_ answer: Result<Void, ServingError>) { result.withLock { $0 = answer } }

        func wait() {
            for _ in 0..<50_000 where !isThere { usleep(100) }
            #expect(isThere)
        }
    }

    private func submit(
        _ batcher: Batcher, inputBytes: Int = 64, allowsInlineRun: Bool = true,
        deadline: MonotonicInstant? = nil
    ) -> Answer {
        let answer = Answer()
        let item = BatchItem(
            claim: BatcherState.Claim(
                deadline: deadline, inputBytes: inputBytes, allowsInlineRun: allowsInlineRun)
        ) { result, _ in answer.fill(result.result.map { _ in () }) }
        #expect(batcher.submit(item, cancellation: nil))
        return answer
    }

    /// Runs until the batcher knows that such requests are short.
    private func warm(_ batcher: Batcher, _ script: Script) {
        for _ in 0..<64 {
            submit(batcher).wait()
            if script.threads.last == pthread_self() { return }
        }
        Issue.record("no run was taken up by its caller")
    }

    @Test("short runs move to the caller, who has the answer when submit returns")
    func movesToCaller() throws {
        let script = Script()
        let batcher = try batcher(script)
        let first = submit(batcher)
        first.wait()
        #expect(script.threads != [pthread_self()])
        warm(batcher, script)
        let answer = submit(batcher)
        #expect(answer.isThere)
        #expect(script.threads.last == pthread_self())
        batcher.close(onDrained: nil)
    }

    @Test("who did not offer, is too large or of a size never seen is run by the batcher's thread")
    func staysOnThreads() throws {
        let script = Script()
        let batcher = try batcher(script)
        warm(batcher, script)
        submit(batcher, allowsInlineRun: false).wait()
        #expect(script.threads.last != pthread_self())
        submit(batcher, inputBytes: 65 << 10).wait()
        #expect(script.threads.last != pthread_self())
        submit(batcher, inputBytes: 1 << 10).wait()
        #expect(script.threads.last != pthread_self())
        #expect(submit(batcher).isThere)
        batcher.close(onDrained: nil)
    }

    @Test("one slow run moves the model back to its threads")
    func movesBack() throws {
        let script = Script()
        let batcher = try batcher(script, limit: .milliseconds(20))
        warm(batcher, script)
        script.state.withLock { $0.delayMicroseconds = 100_000 }
        #expect(submit(batcher).isThere)
        script.state.withLock { $0.delayMicroseconds = 0 }
        submit(batcher).wait()
        #expect(script.threads.last != pthread_self())
        batcher.close(onDrained: nil)
    }

    @Test("what comes during a caller's run waits for it, and closing waits for both")
    func drains() throws {
        let script = Script()
        let batcher = try batcher(script, limit: .seconds(5))
        warm(batcher, script)
        let before = script.threads.count
        script.state.withLock { $0.isHeld = true }
        let held = Answer()
        let (drained, other) = (Answer(), Answer())
        try NativeThread.start(name: "caller") {
            let item = BatchItem(
                claim: BatcherState.Claim(inputBytes: 64, allowsInlineRun: true)
            ) { result, _ in held.fill(result.result.map { _ in () }) }
            _ = batcher.submit(item, cancellation: nil)
            other.fill(held.isThere ? .success(()) : .failure(ServingError(.internal, "late")))
        }
        for _ in 0..<50_000 where script.threads.count == before { usleep(100) }
        let waiting = (0..<3).map { _ in submit(batcher) }
        usleep(2000)
        #expect(waiting.allSatisfy { !$0.isThere })
        batcher.close { drained.fill(.success(())) }
        usleep(2000)
        #expect(!drained.isThere && !held.isThere)
        script.state.withLock { $0.isHeld = false }
        for answer in waiting + [held, other, drained] { answer.wait() }
        #expect(other.failure == nil)
        // The one instance ran the caller's request, then those that waited, together.
        #expect(script.state.withLock { Array($0.batches.suffix(2)) } == [1, 3])
    }

    @Test("an answer that comes after its deadline is none")
    func deadline() throws {
        let script = Script()
        let batcher = try batcher(script)
        warm(batcher, script)
        script.state.withLock { $0.delayMicroseconds = 20_000 }
        let soon = SystemTime().now().advanced(by: .milliseconds(5))
        let answer = submit(batcher, deadline: soon)
        #expect(answer.isThere)
        #expect(answer.failure?.code == .deadlineExceeded)
        batcher.close(onDrained: nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletServing
internal import MartletTensor
internal import MartletTesting
internal import Synchronization
internal import Testing

@Suite("Admission")
struct AdmissionTests {
    /// A host with one instance of an echo whose runs a test can hold.
    private func host(
        _ configuration: String = "max_batch_size: 4 dynamic_batching { }"
    ) async throws -> (LocalModelHost, EngineScript, ScratchFolder) {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx")
        try folder.write("m/config.pbtxt", configuration)
        let script = EngineScript()
        let host = try await LocalModelHost.open(
            [folder.path], engine: TestEngine.echo(script: script))
        return (host, script, folder)
    }

    private func request(
        _ value: Float = 0, priority: UInt64 = 0, deadline: MonotonicInstant? = nil
    ) throws -> InferenceRequest {
        InferenceRequest(
            model: "m",
            inputs: [
                NamedTensor(
                    name: "INPUT",
                    tensor: try Tensor.floats([value, value, value, value], [1, 4]))
            ],
            priority: priority, deadline: deadline)
    }

    /// Answers as they come, by the number of the request.
    final class Answers: Sendable {
        let results = Mutex<[(Int, Result<InferenceResponse, ServingError>)]>([])
        var count: Int { results.withLock { $0.count } }
        var order: [Int] { results.withLock { $0.map(\.0) } }

        func failure(_ number: Int) -> ServingError? {
            results.withLock { results in
                guard case .failure(let error)? = results.first(where: { $0.0 == number })?.1
                else { return nil }
                return error
            }
        }

        func wait(for count: Int) async throws {
            for _ in 0..<5000 where self.count < count {
                try await Task.sleep(for: .milliseconds(1))
            }
            #expect(self.count == count)
        }
    }

    private func submit(
        _ host: LocalModelHost, _ request: InferenceRequest, _ number: Int, _ answers: Answers,
        _ cancellation: Cancellation = Cancellation()
    ) {
        host.submit(request, cancellation: cancellation) { result in
            answers.results.withLock { $0.append((number, result)) }
        }
    }

    private func waitForRuns(_ script: EngineScript, _ count: Int) async throws {
        for _ in 0..<5000 where script.record.runs < count {
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    @Test("a full queue refuses with advice, and answers what it holds")
    func fullQueue() async throws {
        let (host, script, _) = try await host(
            "max_batch_size: 4 dynamic_batching { default_queue_policy { max_queue_size: 2 } }")
        let answers = Answers()
        let before = script.record.runs
        script.hold()
        submit(host, try request(), 0, answers)
        try await waitForRuns(script, before + 1)
        for number in 1...3 { submit(host, try request(Float(number)), number, answers) }
        try await answers.wait(for: 1)
        #expect(answers.failure(3)?.code == .unavailable)
        #expect(answers.failure(3)?.retryAfter != nil)
        script.release()
        try await answers.wait(for: 4)
        #expect(answers.failure(1) == nil)
    }

    @Test("a cancelled request leaves the queue at once and is not computed")
    func cancelsWaiting() async throws {
        let (host, script, _) = try await host()
        let answers = Answers()
        let before = script.record.runs
        script.hold()
        submit(host, try request(), 0, answers)
        try await waitForRuns(script, before + 1)
        let cancellation = Cancellation()
        submit(host, try request(), 1, answers, cancellation)
        cancellation.cancel()
        #expect(answers.count == 1)
        #expect(answers.failure(1)?.code == .cancelled)
        script.release()
        try await answers.wait(for: 2)
        #expect(script.record.runs == before + 1)
    }

    @Test("a run that is alone and cancelled is stopped")
    func cancelsRunning() async throws {
        let (host, script, _) = try await host()
        let answers = Answers()
        let before = script.record.runs
        script.hold()
        let cancellation = Cancellation()
        submit(host, try request(), 0, answers, cancellation)
        try await waitForRuns(script, before + 1)
        cancellation.cancel()
        #expect(answers.failure(0)?.code == .cancelled)
        // Still held: only a stopped run lets the next one begin.
        submit(host, try request(), 1, answers)
        try await waitForRuns(script, before + 2)
        #expect(script.record.runs == before + 2)
        script.release()
        try await answers.wait(for: 2)
    }

    @Test("a deadline is kept while the instance is busy")
    func deadline() async throws {
        let (host, script, _) = try await host()
        let answers = Answers()
        let before = script.record.runs
        script.hold()
        submit(host, try request(), 0, answers)
        try await waitForRuns(script, before + 1)
        let soon = SystemTime().now().advanced(by: .milliseconds(20))
        submit(host, try request(deadline: soon), 1, answers)
        try await answers.wait(for: 1)
        #expect(answers.failure(1)?.code == .deadlineExceeded)
        script.release()
        try await answers.wait(for: 2)
    }

    @Test("priorities and preserved order are kept")
    func orders() async throws {
        let (host, script, _) = try await host(
            "max_batch_size: 1 dynamic_batching { priority_levels: 2 default_priority_level: 2 }")
        let answers = Answers()
        let before = script.record.runs
        script.hold()
        submit(host, try request(), 0, answers)
        try await waitForRuns(script, before + 1)
        submit(host, try request(), 1, answers)
        submit(host, try request(priority: 1), 2, answers)
        script.release()
        try await answers.wait(for: 3)
        #expect(answers.order == [0, 2, 1])
    }

    @Test("draining refuses the new and answers the old")
    func drains() async throws {
        let (host, script, _) = try await host()
        let answers = Answers()
        let before = script.record.runs
        script.hold()
        submit(host, try request(), 0, answers)
        try await waitForRuns(script, before + 1)
        async let isDrained = host.drain()
        for _ in 0..<1000 where host.isReady { try await Task.sleep(for: .milliseconds(1)) }
        submit(host, try request(), 1, answers)
        #expect(answers.failure(1)?.code == .unavailable)
        script.release()
        #expect(await isDrained)
        #expect(answers.count == 2)
        #expect(answers.failure(0) == nil)
    }
}

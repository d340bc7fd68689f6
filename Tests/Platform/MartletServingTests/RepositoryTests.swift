// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletEngine
internal import MartletServing
internal import MartletTensor
internal import MartletTesting
internal import Synchronization
internal import Testing

@Suite("Repository")
struct RepositoryTests {
    /// Answers the number written in the model's file, in every element.
    struct NumberEngine: Engine {
        let name = "number"
        var loads: SwapCounters?
        /// Of the loaded models that are still there.
        var lives = Lives()
        func load(_ source: ModelSource, options: EngineOptions) throws -> any EngineSession {
            loads?.state.withLock { $0.answered += 1 }
            guard case .onnxFile(let path) = source,
                let number = Float(
                    String(
                        decoding: try ScratchFolder.read(path), as: UTF8.self))
            else { throw EngineError(.invalidModel, "no number in it") }
            let life = Life(lives)
            let engine = TestEngine(
                signature: ModelSignature(
                    inputs: [
                        TensorSpec(name: "INPUT", elementType: .float32, dimensions: [-1, 4])
                    ],
                    outputs: [
                        TensorSpec(name: "OUTPUT", elementType: .float32, dimensions: [-1, 4])
                    ])
            ) { inputs in
                defer { withExtendedLifetime(life) {} }
                let count = inputs[0].shape.elementCountChecked ?? 0
                return [
                    try Tensor.floats(Array(repeating: number, count: count), inputs[0].shape)
                ]
            }
            return try engine.load(source, options: options)
        }
    }

    private func request(_ version: String? = nil) throws -> InferenceRequest {
        InferenceRequest(
            model: "m", version: version,
            inputs: [NamedTensor(name: "INPUT", tensor: try Tensor.floats([0, 0, 0, 0], [1, 4]))])
    }

    private func answer(_ host: LocalModelHost, _ version: String? = nil) async throws -> Float {
        try await host.infer(try request(version)).outputs[0].tensor.floats[0]
    }

    private func explicit(
        _ folder: ScratchFolder, lives: Lives = Lives()
    ) async throws -> LocalModelHost {
        var options = ServingOptions(paths: [folder.path])
        options.controlMode = .explicit
        let host = LocalModelHost(options, engine: NumberEngine(lives: lives))
        try await host.start()
        return host
    }

    @Test("the version policy chooses what is served")
    func versionPolicy() async throws {
        let folder = try ScratchFolder()
        for number in [1, 2, 10] { try folder.write("m/\(number)/model.onnx", "\(number)") }
        var host = try await LocalModelHost.open([folder.path], engine: NumberEngine())
        #expect(try host.metadata(model: "m", version: nil).versions == ["10"])
        try folder.write("m/config.pbtxt", "version_policy { latest { num_versions: 2 } }")
        host = try await LocalModelHost.open([folder.path], engine: NumberEngine())
        #expect(try host.metadata(model: "m", version: nil).versions == ["2", "10"])
        #expect(try await answer(host, "2") == 2)
        #expect(try await answer(host) == 10)
        try folder.write("m/config.pbtxt", "version_policy { specific { versions: 1 } }")
        host = try await LocalModelHost.open([folder.path], engine: NumberEngine())
        #expect(try await answer(host) == 1)
    }

    @Test("explicit mode loads and unloads when told; other modes refuse")
    func explicitMode() async throws {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx", "1")
        let host = try await explicit(folder)
        await #expect(throws: ServingError.self) { try await answer(host) }
        try await host.load(model: "m", configuration: nil, files: [:])
        #expect(try await answer(host) == 1)
        try await host.unload(model: "m", includingDependents: false)
        await #expect(throws: ServingError.self) { try await answer(host) }
        #expect(host.index(readyOnly: true).isEmpty)
        let error = await #expect(throws: ServingError.self) {
            try await host.load(model: "none", configuration: nil, files: [:])
        }
        #expect(error?.message.contains("failed to load 'none'") == true)
        let fixed = try await LocalModelHost.open([folder.path], engine: NumberEngine())
        let refusal = await #expect(throws: ServingError.self) {
            try await fixed.unload(model: "m", includingDependents: false)
        }
        #expect(refusal?.code == .unavailable)
    }

    @Test("a failing version leaves the old one serving and is named in the index")
    func failureKeepsOld() async throws {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx", "1")
        let host = try await explicit(folder)
        try await host.load(model: "m", configuration: nil, files: [:])
        try folder.write("m/2/model.onnx", "rubbish")
        await #expect(throws: ServingError.self) {
            try await host.load(model: "m", configuration: nil, files: [:])
        }
        #expect(try await answer(host) == 1)
        let index = host.index(readyOnly: false)
        #expect(index.map(\.version) == ["1", "2"])
        #expect(index[0].state == .ready)
        #expect(index[1].state == .unavailable)
        #expect(index[1].reason.contains("no number"))
        try folder.write("m/2/model.onnx", "2")
        try await host.load(model: "m", configuration: nil, files: [:])
        #expect(try await answer(host) == 2)
    }

    @Test("a model that cannot be read is its own failure, and labels are part of a model")
    func modelsOfTheirOwn() async throws {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx", "1")
        try folder.write("m/labels.txt", "one\n")
        try folder.write(
            "m/config.pbtxt",
            """
            max_batch_size: 2 input { name: "INPUT" data_type: TYPE_FP32 dims: 4 }
            output { name: "OUTPUT" data_type: TYPE_FP32 dims: 4 label_filename: "labels.txt" }
            """)
        try folder.write("huge/config.pbtxt", String(repeating: "#", count: 2 << 20))
        let host = try await explicit(folder)
        try await host.load(model: "m", configuration: nil, files: [:])
        let error = await #expect(throws: ServingError.self) {
            try await host.load(model: "huge", configuration: nil, files: [:])
        }
        #expect(error?.message.contains("more than the limit") == true)
        var request = try request()
        request.outputs = [RequestedOutput(name: "OUTPUT", classification: 1)]
        func label() async throws -> [String] {
            let tensor = try await host.infer(request).outputs[0].tensor
            return try BytesTensor.texts(tensor, name: "OUTPUT")
        }
        #expect(try await label() == ["1.000000:0:one"])
        try folder.write("m/labels.txt", "uno\n")
        try await host.load(model: "m", configuration: nil, files: [:])
        #expect(try await label() == ["1.000000:0:uno"])
    }

    @Test("files that a load call brings are served, with its configuration")
    func uploadedFiles() async throws {
        let folder = try ScratchFolder()
        let host = try await explicit(folder)
        await #expect(throws: ServingError.self) {
            try await host.load(model: "m", configuration: nil, files: ["1/model.onnx": [55]])
        }
        await #expect(throws: ServingError.self) {
            try await host.load(model: "m", configuration: "{}", files: ["../x/y": [55]])
        }
        try await host.load(
            model: "m", configuration: "{\"max_batch_size\": 2}",
            files: ["file:3/model.onnx": Array("7".utf8)])
        #expect(try await answer(host, "3") == 7)
        #expect(try host.configuration(model: "m", version: nil).maxBatchSize == 2)
    }

    @Test("a file that does not match the digest beside it is not loaded")
    func digest() async throws {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx", "1")
        try folder.write("m/1/model.onnx.sha256", String(repeating: "0", count: 64))
        let host = try await explicit(folder)
        let error = await #expect(throws: ServingError.self) {
            try await host.load(model: "m", configuration: nil, files: [:])
        }
        #expect(error?.message.contains("SHA-256") == true)
        try folder.write(
            "m/1/model.onnx.sha256", Digest.sha256(Array("1".utf8)).hexadecimal + "  model.onnx")
        try await host.load(model: "m", configuration: nil, files: [:])
        #expect(try await answer(host) == 1)
    }

    @Test("poll mode loads what has come to rest, never what is half written")
    func follows() async throws {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx", "1")
        var options = ServingOptions(paths: [folder.path])
        options.controlMode = .poll
        options.pollInterval = .seconds(5)
        options.quietPeriod = .milliseconds(1_200)
        let loads = SwapCounters()
        let host = LocalModelHost(options, engine: NumberEngine(loads: loads))
        try await host.start()
        let running = Task { try await host.run() }
        try await Task.sleep(for: .milliseconds(200))
        try folder.write("m/2/partial", "")
        for count in 1...5 {
            try folder.overwrite("m/2/model.onnx", String(repeating: "1", count: count))
            // Without giving up the thread: other suites may keep all of them for a while.
            usleep(50_000)
        }
        var answered: Float = 0
        for _ in 0..<400 where answered != 11_111 {
            try await Task.sleep(for: .milliseconds(20))
            answered = try await answer(host)
            #expect(answered == 1 || answered == 11_111)
        }
        #expect(answered == 11_111)
        #expect(loads.answered == 2)
        // Taken away and put back unchanged, it is loaded anew.
        let aside = try ScratchFolder()
        for (from, to) in [(folder.path, aside.path), (aside.path, folder.path)] {
            unsafe #expect(rename(from + "/m", to + "/m") == 0)
            let isBack = to == folder.path
            for _ in 0..<400 where host.models().isEmpty == isBack {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(host.models().isEmpty != isBack)
            if !isBack { #expect(host.index(readyOnly: false).isEmpty) }
        }
        running.cancel()
        try await running.value
    }

    @Test("swapping versions under traffic mixes nothing, fails nothing, leaks nothing")
    func swapsUnderTraffic() async throws {
        let folder = try ScratchFolder()
        try folder.write("m/1/model.onnx", "1")
        let lives = Lives()
        let host = try await explicit(folder, lives: lives)
        try await host.load(model: "m", configuration: nil, files: [:])
        let counters = SwapCounters()
        let clients = try (0..<2).map { _ in
            try SwapClient(
                host: host, counters: counters, request: try request(),
                pause: unsafe getenv("MARTLET_SWAPS_FLAT_OUT") == nil ? .microseconds(500) : nil)
        }
        let sending = clients.map { client in Task { try await client.run() } }
        let swapsMin = unsafe getenv("MARTLET_SWAPS").flatMap { unsafe Int(String(cString: $0)) }
        let clock = ContinuousClock()
        let begin = clock.now
        var swaps = 0
        var residentBytes = 0
        while counters.answered < 100_000 || swaps < (swapsMin ?? 400),
            clock.now - begin < .seconds(swapsMin == nil ? 20 : 300)
        {
            try folder.write("m/1/model.onnx", "\(swaps % 7 + 1)")
            try await host.load(model: "m", configuration: nil, files: [:])
            swaps += 1
            if swaps == 100 { residentBytes = ScratchFolder.residentBytes }
        }
        let elapsed = clock.now - begin
        counters.stop()
        for task in sending { try await task.value }
        while counters.inFlight > 0 { try await Task.sleep(for: .milliseconds(1)) }
        let rate = Double(swaps) / (Double(elapsed.nanosecondsSaturating) / 1e9)
        let growth = ScratchFolder.residentBytes - residentBytes
        if swapsMin != nil {
            print("\(swaps) swaps, \(rate) a second, \(counters.answered) answers, RSS +\(growth)")
        }
        #expect(counters.answered >= 100_000)
        // Of every version that was swapped out nothing stays; the last one serves.
        for _ in 0..<1_000 where lives.count.load(ordering: .relaxed) > 1 {
            try await Task.sleep(for: .milliseconds(2))
        }
        #expect(lives.count.load(ordering: .relaxed) == 1)
        // The process's memory says something only when no other suite runs beside this one.
        if swapsMin != nil { #expect(growth < 32 << 20) }
        #expect(counters.failures == [])
        #expect(swaps >= swapsMin ?? 400, "\(rate) swaps/s")
    }
}

/// Counts the models that are loaded.
final class Lives: Sendable {
    let count = Atomic(0)
}

/// Lives as long as a loaded model.
final class Life: Sendable {
    private let lives: Lives

    init(_ lives: Lives) {
        self.lives = lives
        lives.count.add(1, ordering: .relaxed)
    }

    deinit {
        lives.count.subtract(1, ordering: .relaxed)
    }
}

/// What the clients of the swap test saw.
final class SwapCounters: Sendable {
    struct State {
        var answered = 0
        var inFlight = 0
        var isStopped = false
        var failures: [String] = []
    }

    let state = Mutex(State())
    var answered: Int { state.withLock { $0.answered } }
    var inFlight: Int { state.withLock { $0.inFlight } }
    var failures: [String] { state.withLock { $0.failures } }
    func stop() { state.withLock { $0.isStopped = true } }
}

/// Sends in bursts, with pauses or flat out, up to a bound in flight; each answer must be wholly of
/// one version.
final class SwapClient: Sendable {
    let host: LocalModelHost
    let counters: SwapCounters
    let request: InferenceRequest
    let pause: Duration?

    init(
        host: LocalModelHost, counters: SwapCounters, request: InferenceRequest, pause: Duration?
    ) throws {
        self.host = host
        self.counters = counters
        self.request = request
        self.pause = pause
    }

    func run() async throws {
        while counters.state.withLock({ !$0.isStopped }) {
            for _ in 0..<16 where counters.inFlight < 128 {
                counters.state.withLock { $0.inFlight += 1 }
                send()
            }
            if let pause { try await Task.sleep(for: pause) } else { await Task.yield() }
        }
    }

    private func send() {
        host.submit(request, cancellation: Cancellation()) { [self] result in
            counters.state.withLock { state in
                switch result {
                case .failure(let error):
                    if state.failures.count < 10 { state.failures.append(error.message) }
                case .success(let response):
                    let values = response.outputs[0].tensor.floats
                    if values.count != 4 || values.contains(where: { $0 != values[0] }) {
                        state.failures.append("mixed: \(values)")
                    }
                }
                state.answered += 1
                state.inFlight -= 1
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletONNXRuntime
internal import MartletStorage
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite(.enabled(if: RuntimeFixture.isThere), .serialized) struct ONNXRuntimeEngineTests {
    @Test("ONNX Runtime keeps the engines' contract")
    func contract() {
        let suite = EngineConformance { try RuntimeFixture.load(.identity($0)) }
        #expect(suite.run() == [])
    }

    @Test("Versions are told, and the function table is one that Martlet knows")
    func versions() throws {
        let library = try ONNXRuntimeLibrary.find()
        #expect(library.version.hasPrefix("1."))
        #expect(ONNXRuntimeLibrary.interfaces.contains(library.interface))
    }

    /// y = x + 1, sizes as given.
    static func increment(output: [ONNXModelWriter.Size]) throws -> ONNXModelWriter {
        var model = ONNXModelWriter()
        model.addInput("x", .float32, [.varying("batch"), .fixed(4)])
        model.addConstant("one", try Tensor([1] as [Float]))
        model.addNode("Add", ["x", "one"], ["y"])
        model.addOutput("y", .float32, output)
        return model
    }

    @Test("Inputs are read where they lie and outputs written into the caller's memory")
    func noCopies() throws {
        let session = try RuntimeFixture.load(
            Self.increment(output: [.varying("batch"), .fixed(4)]))
        let context = try #require(session.makeContext() as? ONNXRuntimeContext)
        let input = try Tensor([1, 2, 3, 4, 5, 6, 7, 8] as [Float], shape: [2, 4])
        var outputs: [Tensor] = []
        try context.run([input], outputs: &outputs, cancellation: nil)
        #expect(unsafe context.inputAddress(0) == input.bytes.baseAddress)
        #expect(try outputs[0].elements(as: Float.self) == [2, 3, 4, 5, 6, 7, 8, 9])
        // The context's own storage, not the library's.
        #expect(!outputs[0].storage.isBorrowed)
        // Once dropped, the next run writes to the same place.
        let address = unsafe outputs[0].bytes.baseAddress
        outputs.removeAll()
        try context.run([input], outputs: &outputs, cancellation: nil)
        #expect(unsafe outputs[0].bytes.baseAddress == address)
    }

    @Test("Outputs of sizes that nothing tells are the library's own memory, held by the tensor")
    func unknownSizes() throws {
        var model = ONNXModelWriter()
        model.addInput("x", .float32, [.fixed(4)])
        model.addNode("NonZero", ["x"], ["y"])
        model.addOutput("y", .int64, [.fixed(1), .varying("")])
        let session = try RuntimeFixture.load(model)
        let first = try RuntimeFixture.run(session, [Tensor([0, 2, 0, 4] as [Float])])[0]
        #expect(first.storage.isBorrowed)
        let second = try RuntimeFixture.run(session, [Tensor([1, 0, 0, 0] as [Float])])[0]
        #expect(try first.elements(as: Int64.self) == [1, 3])
        #expect(try second.elements(as: Int64.self) == [0])
    }

    @Test("A model whose stated output size is wrong runs all the same")
    func lyingSizes() throws {
        var model = ONNXModelWriter()
        model.addInput("x", .float32, [.varying("n"), .varying("m")])
        model.addNode("Transpose", ["x"], ["y"])
        model.addOutput("y", .float32, [.varying("n"), .varying("m")])
        let session = try RuntimeFixture.load(model)
        let context = try session.makeContext()
        for _ in 0..<2 {
            var outputs: [Tensor] = []
            try context.run(
                [Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])], outputs: &outputs,
                cancellation: nil)
            #expect(outputs[0].shape == [3, 2])
            #expect(try outputs[0].elements(as: Float.self) == [1, 4, 2, 5, 3, 6])
        }
    }

    @Test("A text with a zero byte is refused by name, since it would be cut short")
    func zeroBytes() throws {
        let session = try RuntimeFixture.load(.identity(.bytes))
        let bytes: [UInt8] = [2, 0, 0, 0, 65, 0] + Array(repeating: 0, count: 12)
        let storage = TensorStorage(byteCount: bytes.count)
        unsafe storage.mutableBytes.copyBytes(from: bytes)
        let texts = try Tensor(
            elementType: .bytes, shape: [1, 4], storage: storage, byteCount: bytes.count)
        let error = #expect(throws: EngineError.self) {
            _ = try RuntimeFixture.run(session, [texts])
        }
        #expect(error?.code == .invalidInput)
        #expect(error?.message.contains("INPUT") == true)
    }

    @Test("A run that is cancelled on the way ends soon, and the next one is not affected")
    func cancellation() throws {
        var model = ONNXModelWriter()
        model.addInput("x", .float32, [.fixed(384), .fixed(384)])
        let zeros = [Float](repeating: 0, count: 384 * 384)
        model.addConstant("w", try Tensor(zeros, shape: [384, 384]))
        let length = 300
        for index in 0..<length {
            model.addNode(
                "MatMul", [index == 0 ? "x" : "h\(index)", "w"],
                [index == length - 1 ? "y" : "h\(index + 1)"])
        }
        model.addOutput("y", .float32, [.fixed(384), .fixed(384)])
        let session = try RuntimeFixture.load(model, options: EngineOptions(threads: 1))
        let context = try session.makeContext()
        let input = try Tensor(zeros, shape: [384, 384])
        var outputs: [Tensor] = []
        let clock = ContinuousClock()
        let whole = try clock.measure {
            try context.run([input], outputs: &outputs, cancellation: nil)
        }
        let cancellation = Cancellation()
        let canceller = TestThread {
            TestThread.sleep(whole / 8)
            cancellation.cancel()
        }
        var error: EngineError?
        let cut = clock.measure {
            error = #expect(throws: EngineError.self) {
                try context.run([input], outputs: &outputs, cancellation: cancellation)
            }
        }
        canceller.join()
        #expect(error?.code == .cancelled)
        #expect(cut < whole)
        try context.run([input], outputs: &outputs, cancellation: nil)
        #expect(outputs.count == 1)
    }

    @Test("A profile tells each operator's calls, times and work")
    func profile() throws {
        var model = ONNXModelWriter()
        model.addInput("x", .float32, [.varying("batch"), .fixed(64)])
        model.addConstant("w", try Tensor([Float](repeating: 1, count: 64 * 32), shape: [64, 32]))
        model.addNode("MatMul", ["x", "w"], ["h"])
        model.addNode("Sigmoid", ["h"], ["y"])
        model.addOutput("y", .float32, [.varying("batch"), .fixed(32)])
        // The profiler loads the file again.
        let folder = try TestFolder()
        let session = try RuntimeFixture.load(model, in: folder)
        let input = try Tensor([Float](repeating: 1, count: 128), shape: [2, 64])
        #expect(try session.stopProfile() == nil)
        try session.startProfile()
        for _ in 0..<3 { _ = try RuntimeFixture.run(session, [input]) }
        let profile = try #require(try session.stopProfile())
        let product = try #require(profile.operators.first { $0.operatorName == "MatMul" })
        #expect(product.calls == 3)
        #expect(product.operations == 3 * 2 * 2 * 64 * 32)
        #expect(product.bytes >= 3 * 4 * (128 + 64))
        #expect(profile.operators.contains { $0.operatorName == "Sigmoid" })
        let shares = profile.operators.reduce(0) { $0 + profile.share(of: $1) }
        #expect(abs(shares - 1) < 1e-9 || profile.microseconds == 0)
        _ = try RuntimeFixture.run(session, [input])
        #expect(try session.stopProfile() == nil)
    }

    @Test("What is no model is refused with the library's reason")
    func noModel() throws {
        let folder = try TestFolder()
        try folder.write("model.onnx", "not a model")
        let path = PathName.join(folder.path, "model.onnx")
        let error = #expect(throws: EngineError.self) {
            _ = try ONNXRuntimeEngine().load(.onnxFile(path: path), options: EngineOptions())
        }
        #expect(error?.code == .invalidModel)
        #expect(error?.message.contains(path) == true)
        let built = #expect(throws: EngineError.self) {
            _ = try ONNXRuntimeEngine().load(.graph(Graph(name: "g")), options: EngineOptions())
        }
        #expect(built?.code == .unsupported)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Glibc
internal import MartletBase
internal import MartletEngine
internal import MartletTensor

extension EnginePrecision {
    /// The precision that an option names.
    init(option text: String) throws {
        guard let precision = EnginePrecision(rawValue: text) else {
            let known = EnginePrecision.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is not a precision; known are \(known)")
        }
        self = precision
    }
}

/// `martlet bench MODEL`: how fast a model runs on this machine, without any server.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a model's load time, latency, throughput and memory.",
        discussion: """
            Dimensions that vary take --batch (the first) and --sequence (the others), or a whole \
            shape is given by name:

              martlet bench model.onnx
              martlet bench all-MiniLM-L6-v2 --batch 8 --sequence 128 --profile
              martlet bench model.onnx --shape image=1x3x640x640 --threads 1
            """)

    @Argument(help: "An ONNX file, a Hugging Face folder, or a model's folder.")
    var model: String

    @Option(help: "The first dimension, where it varies.")
    var batch = 1

    @Option(help: "The other dimensions that vary.")
    var sequence = 128

    @Option(help: "NAME=1x3x224x224: an input's whole shape.")
    var shape: [String] = []

    @Option(help: "How long to measure, in seconds.")
    var seconds = 3.0

    @Option(help: "Threads for kernels (one per processor).")
    var threads: Int?

    @Option(
        help: "f32, bf16 or int8: how products with weights are computed.",
        transform: EnginePrecision.init(option:))
    var precision: EnginePrecision = .float32

    @Flag(help: "Also show where the time goes, by operator.")
    var profile = false

    func run() async throws {
        guard batch > 0, sequence > 0, seconds > 0, seconds <= 3_600, (threads ?? 1) > 0 else {
            throw CommandFailure("--batch, --sequence, --seconds and --threads must be positive")
        }
        let work = self
        try await OwnThread.run { try work.measure() }
    }

    private func measure() throws {
        if let threads { KernelPool.start(threads: threads) }
        let clock = ContinuousClock()
        let begun = clock.now
        let session = try NativeEngine().load(
            ModelOpener.source(model),
            options: EngineOptions(threads: threads, precision: precision))
        let context = try session.makeContext()
        let inputs = try BenchInputs.make(
            session.signature, batch: batch, sequence: sequence, shapes: shape)
        var outputs: [Tensor] = []
        let loaded = clock.now
        try context.run(inputs, outputs: &outputs, cancellation: nil)
        let first = clock.now
        print("load         \(milliseconds(begun.duration(to: loaded)))")
        print("first run    \(milliseconds(loaded.duration(to: first)))")
        for (spec, tensor) in zip(session.signature.inputs, inputs) {
            print("input        \(spec.name) \(tensor.elementType) \(tensor.shape)")
        }
        let native = session as? NativeSession
        if profile { native?.startProfile() }
        var times: [Duration] = []
        let end = clock.now.advanced(by: .seconds(seconds))
        repeat {
            let start = clock.now
            try context.run(inputs, outputs: &outputs, cancellation: nil)
            times.append(start.duration(to: clock.now))
        } while clock.now < end
        report(times)
        if profile, let steps = native?.stopProfile() {
            print(BenchCommand.table(steps.operators))
        }
    }

    private func report(_ times: [Duration]) {
        let sorted = times.sorted()
        let total = times.reduce(Duration.zero, +)
        func quantile(_ share: Double) -> String {
            milliseconds(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))])
        }
        print("runs         \(times.count)")
        print("latency      p50 \(quantile(0.5))   p90 \(quantile(0.9))   p99 \(quantile(0.99))")
        let rate = Double(times.count * batch) / (total / .seconds(1))
        print("throughput   \((rate * 10).rounded() / 10) rows/s")
        var usage = rusage()
        if unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
            print("peak memory  \(usage.ru_maxrss / 1024) MiB")
        }
    }

    private static func table(_ entries: [StepProfile.Entry]) -> String {
        let total = entries.reduce(0) { $0 + $1.microseconds }
        let rows = entries.map { entry in
            let share = total > 0 ? (entry.microseconds / total * 1_000).rounded() / 10 : 0
            let mean = (entry.microseconds / Double(max(entry.calls, 1)) * 10).rounded() / 10
            return "\(share) %\t\(mean) µs\t\(entry.calls)\t\(entry.operatorName)"
        }
        return "\nshare\tmean\tcalls\toperator\n" + rows.joined(separator: "\n")
    }

    private func milliseconds(_ duration: Duration) -> String {
        "\((duration / .microseconds(1)).rounded() / 1_000) ms"
    }
}

/// Inputs that a model accepts, filled with what is typical for them.
enum BenchInputs {
    private static let bytesMax = 4 << 30

    /// - Parameter shapes: "NAME=1x3x224x224".
    static func make(
        _ signature: ModelSignature, batch: Int, sequence: Int, shapes: [String]
    ) throws -> [Tensor] {
        let given = try ShapeOption.dimensions(shapes, inputs: signature.inputs)
        var random = SeededRandom(seed: 1)
        return try signature.inputs.map { spec in
            let dimensions =
                given[spec.name]
                ?? spec.dimensions.enumerated().map { axis, dimension in
                    dimension >= 0 ? dimension : axis == 0 ? batch : sequence
                }
            guard spec.elementType != .bytes else {
                throw CommandFailure(
                    "input '\(spec.name)' takes texts, which bench cannot make up")
            }
            guard let shape = Shape(dimensions), let count = shape.elementCountChecked,
                let bytes = spec.elementType.byteCount(elements: count), bytes <= bytesMax
            else { throw CommandFailure("input '\(spec.name)' of \(dimensions) is too large") }
            let storage = TensorStorage(byteCount: bytes)
            fill(storage, spec, count: count, using: &random)
            return try Tensor(elementType: spec.elementType, shape: shape, storage: storage)
        }
    }

    /// Floats between -1 and 1; whole numbers small, as token ids are; masks all one.
    private static func fill(
        _ storage: TensorStorage, _ spec: TensorSpec, count: Int, using random: inout SeededRandom
    ) {
        let bytes = unsafe storage.mutableBytes
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
        let isMask = spec.name.contains("mask")
        let isType = spec.name.contains("type")
        for index in 0..<count {
            let whole = isMask ? 1 : isType ? 0 : Int64.random(in: 1...90, using: &random)
            switch spec.elementType {
            case .float32:
                unsafe bytes.storeBytes(
                    of: isMask ? 1 : Float.random(in: -1...1, using: &random),
                    toByteOffset: index * 4, as: Float.self)
            case .float64:
                unsafe bytes.storeBytes(
                    of: Double.random(in: -1...1, using: &random), toByteOffset: index * 8,
                    as: Double.self)
            case .int64, .uint64:
                unsafe bytes.storeBytes(of: whole, toByteOffset: index * 8, as: Int64.self)
            case .int32, .uint32:
                unsafe bytes.storeBytes(of: Int32(whole), toByteOffset: index * 4, as: Int32.self)
            case .int8, .uint8:
                unsafe bytes.storeBytes(of: Int8(whole), toByteOffset: index, as: Int8.self)
            case .bool: unsafe bytes.storeBytes(of: 1, toByteOffset: index, as: UInt8.self)
            default: break
            }
        }
    }
}

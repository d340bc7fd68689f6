// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletEngine
internal import MartletFormats
internal import MartletGraph
internal import MartletStorage
internal import MartletTensor
internal import MartletTesting
internal import Testing

/// Models of arbitrary operators and damaged real ones, loaded and run on arbitrary inputs.
///
/// `MARTLET_FUZZ_MODELS` names a folder of folders with a `model.onnx` (the onnx wheel's cases,
/// say) to damage as well.
@Suite("Fuzz models", .serialized)
struct ModelFuzzTests {
    private static func realModels() -> [ONNXModel] {
        guard let root = environment("MARTLET_FUZZ_MODELS") else { return [] }
        var models: [ONNXModel] = []
        for name in ((try? FileSystem.list(root)) ?? []).sorted() {
            let path = PathName.join(PathName.join(root, name), "model.onnx")
            guard let size = try? FileSystem.size(of: path), size < 1 << 20,
                let bytes = try? FileSystem.readAll(path, limit: 1 << 20),
                let model = try? ONNXModel(ByteRegion(copying: bytes))
            else { continue }
            models.append(model)
        }
        return models
    }

    /// An input of the shape that a signature asks for, with varying dimensions made up.
    private static func makeInput(_ spec: TensorSpec, _ damage: inout ModelDamage) -> EngineValue? {
        let type = damage.below(40) == 0 ? damage.pick(ElementType.allCases) : spec.elementType
        var shape = spec.dimensions.map { $0 < 0 ? damage.pick([0, 1, 2, 3, 5]) : $0 }
        if damage.below(20) == 0 { shape = damage.makeShape() }
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow, product <= 1 << 16 else { return nil }
            count = product
        }
        let bytes: Int
        if type == .bytes {
            bytes = count * 4
        } else {
            guard let fixed = type.byteCount(elements: count) else { return nil }
            bytes = fixed
        }
        let storage = TensorStorage(byteCount: bytes)
        unsafe fill(storage.base, bytes, type, &damage)
        guard
            let whole = Shape(shape),
            let tensor = try? Tensor(
                elementType: type, shape: whole, storage: storage, byteCount: bytes)
        else { return nil }
        return .tensor(tensor)
    }

    private static func fill(
        _ base: UnsafeMutableRawPointer, _ count: Int, _ type: ElementType,
        _ damage: inout ModelDamage
    ) {
        unsafe memset(base, 0, count)
        switch type {
        case .bytes: return
        case .float32:
            for index in 0..<count / 4 {
                let value =
                    damage.below(16) == 0
                    ? damage.pick(ModelDamage.fractions) : Float(damage.below(17)) / 4 - 2
                unsafe base.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
            }
        case .int64:
            for index in 0..<count / 8 {
                let value =
                    damage.below(4) == 0
                    ? damage.pick(ModelDamage.numbers) : Int64(damage.below(6)) - 1
                unsafe base.storeBytes(of: value, toByteOffset: index * 8, as: Int64.self)
            }
        case .int32:
            for index in 0..<count / 4 {
                let value = damage.below(8) == 0 ? Int32.min : Int32(damage.below(6)) - 1
                unsafe base.storeBytes(of: value, toByteOffset: index * 4, as: Int32.self)
            }
        case .bool:
            for index in 0..<count {
                unsafe base.storeBytes(
                    of: UInt8(damage.below(2)), toByteOffset: index, as: UInt8.self)
            }
        default:
            for index in 0..<count {
                unsafe base.storeBytes(
                    of: UInt8(damage.below(256)), toByteOffset: index, as: UInt8.self)
            }
        }
    }

    /// Loads a model and runs it on two sets of inputs; the answers' bytes are read.
    private static func run(_ model: ONNXModel, _ damage: inout ModelDamage) throws -> Bool {
        let importer = ONNXImporter(operators: OperatorTable.standard.schemas)
        let graph = try importer.graph(of: model, externalFiles: ONNXExternalFiles(folder: nil))
        let precision = damage.pick(EnginePrecision.allCases)
        let options = EngineOptions(
            memoryBytesMax: 1 << 24, threads: 1 + damage.below(2), iterationsMax: 200,
            precision: precision)
        let session = try NativeEngine().load(.graph(graph), options: options)
        let context = try session.makeContext()
        var ran = false
        for _ in 0..<2 {
            var values: [EngineValue] = []
            for spec in session.signature.inputs {
                guard let value = makeInput(spec, &damage) else { return ran }
                values.append(value)
            }
            var outputs: [EngineValue] = []
            do {
                try context.run(values: values, outputs: &outputs, cancellation: nil)
                ran = true
            } catch is EngineError {}
            var sum: UInt8 = 0
            for case .tensor(let tensor) in outputs {
                let storage = tensor.storage
                unsafe tensor.bytes.forEach { sum &+= $0 }
                withExtendedLifetime(storage) {}
            }
            withExtendedLifetime(sum) {}
        }
        return ran
    }

    @Test("any model ends with an error or an answer, never otherwise")
    func models() {
        let seconds = environment("MARTLET_FUZZ_SECONDS").flatMap { Double($0) } ?? 1
        let seed = environment("MARTLET_FUZZ_SEED").flatMap { UInt64($0) } ?? 0x6d6f_6465_6c73
        let real = Self.realModels()
        var count = 0
        var ran = 0
        let end = ProcessorTime.now + seconds
        while ProcessorTime.now < end {
            for _ in 0..<16 {
                count += 1
                // Each model has a seed of its own, which the trace names before it is tried.
                let own = seed &+ UInt64(count)
                var damage = ModelDamage(seed: own)
                var model: ONNXModel
                if !real.isEmpty, damage.below(4) > 0 {
                    model = damage.pick(real)
                    for _ in 0...damage.below(4) { damage.harm(&model) }
                } else {
                    model = damage.makeModel()
                }
                ProcessorTime.trace("model \(own)\n", model)
                do {
                    if try Self.run(model, &damage) { ran += 1 }
                } catch is EngineError {
                } catch is GraphError {
                } catch is TensorError {
                } catch is FormatError {
                } catch {
                    Issue.record("model \(own): an error of another kind: \(error)")
                }
            }
        }
        if environment("MARTLET_FUZZ_SECONDS") != nil {
            ProcessorTime.say(
                "fuzz models: seed \(seed), \(Int(seconds)) s, \(count) inputs, \(ran) accepted\n")
        }
        #expect(ran > 0)
    }
}

/// What the loop above needs of the system.
private enum ProcessorTime {
    static var now: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    static func say(_ text: String) { _ = unsafe write(STDERR_FILENO, text, text.utf8.count) }

    /// Writes what is tried next into `MARTLET_FUZZ_TRACE`.
    static func trace(_ title: String, _ model: ONNXModel) {
        guard let path = environment("MARTLET_FUZZ_TRACE"), let file = unsafe fopen(path, "wb")
        else { return }
        var text = title
        for input in model.graph.inputs { text += "input \(input)\n" }
        for tensor in model.graph.initializers {
            text += "constant \(tensor.name) \(tensor.dataType) \(tensor.dimensions)\n"
        }
        for node in model.graph.nodes {
            let attributes = node.attributes.map { "\($0.name)=\(String(describing: $0.value))" }
            text += "\(node.outputs) = \(node.operatorType)\(node.inputs) \(attributes)\n"
        }
        unsafe fputs(text, file)
        unsafe fclose(file)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import MartletEngine
internal import MartletStorage
internal import MartletTensor

/// Requests that run before a version counts as ready. Blocks: for loader threads only.
package struct ModelWarmer: Sendable {
    /// Bytes of one warm-up input; more is an error.
    static let inputByteCountMax = 1 << 30

    let time: any TimeSource

    package init(time: any TimeSource) {
        self.time = time
    }

    /// Runs the configured requests, or, without any, one of zeros in the smallest shape, past the
    /// stages around the model: zeros are no image.
    /// - Throws: `ServingError` when a configured request fails. The automatic one may fail: its
    ///   shape is a guess.
    package func warm(_ served: ServedModel, folder: String) throws {
        defer { served.statistics.reset() }
        guard !served.configuration.warmups.isEmpty else {
            guard served.configuration.ensemble == nil else { return }
            let pipeline = served.executor as? PipelineExecutor
            let inputs = pipeline?.innerInputs ?? served.inputs
            guard let request = try? automatic(served.name, inputs) else { return }
            _ = run(request, on: pipeline?.inner ?? served.executor)
            return
        }
        for warmup in served.configuration.warmups {
            let request = try configured(warmup, served, folder: folder)
            for _ in 0..<warmup.count {
                if case .failure(let error)? = run(request, on: served.executor) {
                    throw ServingError(
                        error.code, "warm-up '\(warmup.name)' failed: \(error.message)",
                        cause: error)
                }
            }
        }
    }

    private func run(
        _ request: InferenceRequest, on executor: any ModelExecutor
    ) -> Result<InferenceResponse, ServingError>? {
        var request = request
        // A loader's thread would only wait for the model's own to be woken and to run it.
        request.prefersInlineRun = true
        let slot = BlockingSlot<Result<InferenceResponse, ServingError>>()
        guard
            executor.submit(
                request, cancellation: Cancellation(), completion: { slot.fill($0) })
        else { return nil }
        return slot.wait()
    }

    private func automatic(
        _ model: String, _ specs: [TensorSpec]
    ) throws -> InferenceRequest {
        let inputs = try specs.map { spec in
            let dimensions = spec.dimensions.map { $0 < 0 ? 1 : $0 }
            return NamedTensor(
                name: spec.name, tensor: try zeros(spec.elementType, dimensions))
        }
        return InferenceRequest(model: model, inputs: inputs)
    }

    private func configured(
        _ warmup: ModelConfiguration.Warmup, _ served: ServedModel, folder: String
    ) throws -> InferenceRequest {
        let isBatched = served.configuration.maxBatchSize > 0
        var generator = SeededRandom(seed: 1)
        let inputs = try warmup.inputs.sorted { $0.key < $1.key }.map { name, input in
            let dimensions = (isBatched ? [max(1, warmup.batchSize)] : []) + input.dimensions
            guard !input.dimensions.contains(where: { $0 < 0 }) else {
                throw ServingError(
                    .invalidArgument,
                    "warm-up '\(warmup.name)': input '\(name)' has a dimension that varies")
            }
            var tensor = try zeros(input.elementType, dimensions)
            switch input.data {
            case .zero: break
            case .random:
                // Small positive integers are valid in every type, floats included.
                for index in unsafe tensor.storage.mutableBytes.indices
                where input.elementType != .bytes {
                    let isLow = index % max(1, (input.elementType.bitWidth ?? 8) / 8) == 0
                    unsafe tensor.storage.mutableBytes[index] =
                        isLow ? UInt8(truncatingIfNeeded: generator.next()) & 1 : 0
                }
            case .file(let file):
                tensor = try read(file, input.elementType, dimensions, folder: folder)
            }
            return NamedTensor(name: name, tensor: tensor)
        }
        return InferenceRequest(model: served.name, inputs: inputs)
    }

    private func read(
        _ file: String, _ type: ElementType, _ dimensions: [Int], folder: String
    ) throws -> Tensor {
        guard PathName.staysInside(file), let shape = Shape(dimensions) else {
            throw ServingError(
                .invalidArgument, "warm-up file '\(file)' lies outside the model's folder")
        }
        let bytes = try FileSystem.readAll(
            PathName.join(PathName.join(folder, "warmup"), file),
            limit: ModelWarmer.inputByteCountMax)
        let storage = TensorStorage(byteCount: bytes.count)
        unsafe bytes.withUnsafeBytes { unsafe storage.mutableBytes.copyMemory(from: $0) }
        return try Tensor(
            elementType: type, shape: shape, storage: storage, byteCount: bytes.count)
    }

    private func zeros(_ type: ElementType, _ dimensions: [Int]) throws -> Tensor {
        // An empty BYTES element is its length, four bytes of zero.
        let sized = type == .bytes ? ElementType.uint32 : type
        guard let shape = Shape(dimensions), let count = shape.elementCountChecked,
            let byteCount = sized.byteCount(elements: count),
            byteCount <= ModelWarmer.inputByteCountMax
        else {
            throw ServingError(.invalidArgument, "warm-up shape \(dimensions) is too large")
        }
        let storage = TensorStorage(byteCount: byteCount)
        unsafe storage.mutableBytes.initializeMemory(as: UInt8.self, repeating: 0)
        return try Tensor(
            elementType: type, shape: shape, storage: storage,
            byteCount: type == .bytes ? byteCount : nil)
    }
}

/// A place for one value that another thread waits for.
final class BlockingSlot<Value: Sendable>: Sendable {
    // Sendable: read and written under the monitor only.
    private final class Box: @unchecked Sendable { var value: Value? }

    private let monitor = Monitor()
    private let box = Box()

    func fill(_ value: Value) {
        monitor.withLock {
            box.value = value
            monitor.broadcast()
        }
    }

    func wait() -> Value {
        monitor.lock()
        defer { monitor.unlock() }
        while true {
            if let value = box.value { return value }
            monitor.wait()
        }
    }
}

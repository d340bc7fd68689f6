// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletTensor

/// The stages after a model. Each works on the first output.
enum OutputStages {
    static func softmax(_ data: StageData) throws(ServingError) -> StageData {
        let (name, shape, values) = try floats(data, "softmax")
        let width = shape.last ?? 1
        var result = values
        for row in 0..<(width > 0 ? values.count / width : 0) {
            let range = row * width..<(row + 1) * width
            let largest = values[range].max() ?? 0
            var sum: Float = 0
            for index in range {
                result[index] = expf(values[index] - largest)
                sum += result[index]
            }
            for index in range { result[index] /= sum }
        }
        return try replacing(data, name, shape, result)
    }

    static func topK(
        _ data: StageData, count: Int, labels: [String]
    ) throws(ServingError) -> StageData {
        guard let output = data.tensors.first else {
            throw ServingError(.internal, "stage 'top_k' has no output to work on")
        }
        var result = data
        result.tensors[0].tensor = try Classification.topK(
            output.tensor, count: count, isBatched: output.tensor.shape.rank > 1, labels: labels)
        return result
    }

    /// [rows, tokens, width] → [rows, width].
    static func pool(
        _ data: StageData, _ pooling: PipelineConfiguration.Pooling, normalizes: Bool
    ) throws(ServingError) -> StageData {
        let (name, shape, values) = try floats(data, "pool")
        guard shape.rank == 3 else {
            throw ServingError(
                .invalidArgument, "stage 'pool' expects [rows, tokens, width], got \(shape)")
        }
        let (rows, tokens, width) = (shape[0], shape[1], shape[2])
        let mask = try mask(data, rows: rows, tokens: tokens)
        var result = [Float](repeating: 0, count: rows * width)
        for row in 0..<rows {
            var weight: Float = 0
            for token in 0..<tokens {
                let share: Float =
                    pooling == .firstToken ? (token == 0 ? 1 : 0) : mask[row * tokens + token]
                guard share > 0 else { continue }
                weight += share
                let source = (row * tokens + token) * width
                for column in 0..<width { result[row * width + column] += values[source + column] }
            }
            let range = row * width..<(row + 1) * width
            if weight > 0 { for index in range { result[index] /= weight } }
            guard normalizes else { continue }
            let length = result[range].reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
            if length > 0 { for index in range { result[index] /= length } }
        }
        return try replacing(data, name, [rows, width], result)
    }

    /// 1 for tokens that count, 0 for padding.
    private static func mask(
        _ data: StageData, rows: Int, tokens: Int
    ) throws(ServingError) -> [Float] {
        guard let mask = data.mask else { return Array(repeating: 1, count: rows * tokens) }
        guard mask.elementType == .int64, mask.shape == [rows, tokens] else {
            throw ServingError(
                .internal, "stage 'pool': a mask of \(mask.shape) for [\(rows), \(tokens)]")
        }
        let numbers = unsafe mask.bytes.bindMemory(to: Int64.self)
        return unsafe numbers.map { $0 != 0 ? 1 : 0 }
    }

    private static func floats(
        _ data: StageData, _ stage: String
    ) throws(ServingError) -> (String, Shape, [Float]) {
        guard let output = data.tensors.first, output.tensor.elementType == .float32 else {
            throw ServingError(
                .invalidArgument, "stage '\(stage)' expects a first output of FP32")
        }
        let bytes = unsafe output.tensor.bytes
        let values = (0..<output.tensor.byteCount / 4).map {
            unsafe bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self)
        }
        return (output.name, output.tensor.shape, values)
    }

    private static func replacing(
        _ data: StageData, _ name: String, _ shape: Shape, _ values: [Float]
    ) throws(ServingError) -> StageData {
        let storage = TensorStorage(byteCount: values.count * 4)
        unsafe values.withUnsafeBytes { unsafe storage.mutableBytes.copyMemory(from: $0) }
        do {
            var result = data
            result.tensors[0].tensor = try Tensor(
                elementType: .float32, shape: shape, storage: storage)
            return result
        } catch {
            throw ServingError(failure: error)
        }
    }
}

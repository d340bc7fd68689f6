// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension Lowering {
    /// As `packed`, of a convolution's weights, which its fifth input scales by output channel.
    ///
    /// The scaled weights live only while they are packed: models with batch normalisation would
    /// otherwise keep their weights twice.
    func packedConvolution(
        _ weights: Operand, format: String, byteCount: Int,
        fill: (UnsafePointer<Float>, UnsafeMutableRawPointer) throws -> Void
    ) throws -> Slot {
        let scale = try weightScale(channels: weights.shape.first ?? 0)
        let suffix = optional(4)?.value.map { "-\($0.index)" } ?? ""
        return try unsafe packed(weights, format: format + suffix, byteCount: byteCount) {
            tensor, target in
            guard let scale else {
                guard let source = unsafe tensor.floatPointer else { return }
                return try unsafe fill(source, target)
            }
            var numbers = try tensor.elements(as: Float.self)
            let each = scale.isEmpty ? 0 : numbers.count / scale.count
            for channel in scale.indices {
                for index in (channel * each)..<((channel + 1) * each) {
                    numbers[index] *= scale[channel]
                }
            }
            try unsafe numbers.withUnsafeBufferPointer { buffer in
                guard let source = buffer.baseAddress else { return }
                try unsafe fill(source, target)
            }
        }
    }

    private func weightScale(channels: Int) throws -> [Float]? {
        guard let scale = optional(4) else { return nil }
        guard let factors = try scale.constant?.elements(as: Float.self),
            factors.count == channels
        else { throw failure("\(channels) channels and a scale of shape \(scale.shape)") }
        return factors
    }
}

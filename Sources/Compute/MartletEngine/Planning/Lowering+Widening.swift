// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// An operator whose steps know 32-bit floats only: other floating types are converted on the
    /// way in and out (64-bit ones lose precision).
    static func float32(
        _ schema: OperatorSchema, lower: @escaping @Sendable (Lowering) throws -> Void
    ) -> NativeOperator {
        NativeOperator(schema) { node in
            switch try node.input().elementType {
            case .float16, .bfloat16, .float64: try node.lowerWidened(lower)
            default: try lower(node)
            }
        }
    }
}

extension Lowering {
    /// Lowers with every operand of the first input's type as 32-bit floats.
    func lowerWidened(_ lower: (Lowering) throws -> Void) throws {
        let narrow = try input().elementType
        let wideInputs = try inputs.map { operand -> Operand? in
            guard let operand, operand.elementType == narrow else { return operand }
            if let constant = operand.constant { return try widened(operand, constant) }
            return try cast(operand, to: .float32)
        }
        let wideOutputs = try outputs.map { operand -> Operand? in
            guard let operand, operand.elementType == narrow else { return operand }
            return try temporary(.float32, operand.shape)
        }
        let wide = Lowering(
            builder: builder, inputs: wideInputs, outputs: wideOutputs, attributes: attributes,
            description: description)
        try lower(wide)
        adopt(wide)
        for case let (narrow?, wide?) in zip(outputs, wideOutputs)
        where narrow.slot != wide.slot {
            try emitCast(self, wide, narrow)
        }
    }

    private func widened(_ operand: Operand, _ constant: Tensor) throws -> Operand {
        let count = operand.count
        let storage = try TensorStorage(allocating: count * 4)
        let type = try dtype(operand)
        _ = unsafe martlet_cast(
            type, MARTLET_F32, constant.bytes.baseAddress, storage.base, Int64(count), threads)
        let tensor = try Tensor(elementType: .float32, shape: operand.shape, storage: storage)
        return Operand(
            slot: self.constant(tensor), elementType: .float32, shape: operand.shape,
            constant: tensor, value: nil)
    }
}

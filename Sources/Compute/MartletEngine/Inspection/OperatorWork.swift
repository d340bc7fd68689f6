// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// What a node does at least: for profiles, which compare it with the time that it took.
package struct OperatorWork: Sendable, BitwiseCopyable {
    /// Multiplications and additions; 0 for what is neither product nor convolution.
    package var operations = 0.0
    /// What inputs and outputs hold.
    package var bytes = 0.0

    package init(operations: Double = 0, bytes: Double = 0) {
        self.operations = operations
        self.bytes = bytes
    }

    /// - Parameters:
    ///   - operatorName: without its domain.
    ///   - inputs: shapes; nil for an input that is absent.
    package init(
        _ operatorName: String, inputs: [[Int]?], outputs: [[Int]?], bytes: Double
    ) {
        self.bytes = bytes
        operations = OperatorWork.operations(operatorName, inputs, outputs)
    }

    /// Whether a node reads all of an input; of tables it reads what it picks.
    package static func readsAll(_ operatorName: String, input: Int) -> Bool {
        input > 0 || !["Gather", "GatherND", "GatherElements"].contains(operatorName)
    }

    private static func operations(
        _ name: String, _ inputs: [[Int]?], _ outputs: [[Int]?]
    ) -> Double {
        func input(_ index: Int) -> [Int]? { index < inputs.count ? inputs[index] : nil }
        guard let first = input(0), let output = outputs.first ?? nil else { return 0 }
        let made = count(output)
        switch name {
        case "Attention", "MultiHeadAttention": return attention(first, input(1), output)
        case "Gemm", "MatMul", "FusedMatMul", "FusedGemm", "MatMulInteger", "QLinearMatMul",
            "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulNBits":
            // A row of the left side meets every column; a transposed one has as many elements.
            guard let last = output.last, last > 0, made > 0 else { return 0 }
            let isGemm = name.hasSuffix("Gemm")
            let inner = isGemm ? count(first) / Double(output.first ?? 1) : Double(first.last ?? 0)
            return 2 * made * inner
        case "Conv", "FusedConv", "ConvInteger", "QLinearConv", "NhwcFusedConv":
            let weights = input(name == "QLinearConv" ? 3 : 1) ?? []
            guard let kernels = weights.first, kernels > 0 else { return 0 }
            return 2 * made * count(weights) / Double(kernels)
        case "ConvTranspose":
            guard let weights = input(1), let channels = weights.first, channels > 0 else {
                return 0
            }
            return 2 * count(first) * count(weights) / Double(channels)
        default: return 0
        }
    }

    /// Both products, over [batch, rows, width]; merged queries, keys and values are one input.
    private static func attention(_ query: [Int], _ key: [Int]?, _ output: [Int]) -> Double {
        guard query.count == 3, output.count == 3 else { return 0 }
        let width = Double(key == nil ? query[2] / 3 : query[2])
        let keys = Double(key.map { $0.count == 3 ? $0[1] : query[1] } ?? query[1])
        return 2 * Double(query[0]) * Double(query[1]) * keys * (width + Double(output[2]))
    }

    private static func count(_ shape: [Int]) -> Double { shape.reduce(1) { $0 * Double($1) } }
}

extension OperatorWork {
    init(_ operatorName: String, inputs: [Operand?], outputs: [Operand?]) {
        func bytes(_ operand: Operand?) -> Double {
            operand.map { Double($0.elementType.byteCount(elements: $0.count) ?? 0) } ?? 0
        }
        var total = outputs.reduce(0) { $0 + bytes($1) }
        for (index, input) in inputs.enumerated() {
            total += OperatorWork.readsAll(operatorName, input: index) ? bytes(input) : 0
        }
        // What is picked from a table is read once.
        if !OperatorWork.readsAll(operatorName, input: 0) { total += bytes(outputs.first ?? nil) }
        self.init(
            operatorName, inputs: inputs.map { $0.map { Array($0.shape) } },
            outputs: outputs.map { $0.map { Array($0.shape) } }, bytes: total)
    }
}

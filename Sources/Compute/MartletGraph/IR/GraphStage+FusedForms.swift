// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// What an input of a fused operator must be. A pass that fuses anything else has broken the
/// stage's specification, and is refused with its name where pipelines verify.
struct FusedForm {
    enum Rule {
        /// Contents known before the run.
        case constant
        /// Elements of one of these types.
        case types([ElementType])
        /// Elements of the output's type, in the output's shape.
        case likeOutput
        /// One number for each of the output's last dimension (its channels).
        case vector
        /// One number.
        case single
    }

    var inputs: [Int: [Rule]]
    /// Whether an activation may follow.
    var hasActivation = true

    private static let bytes: [ElementType] = [.uint8, .int8]
    private static let quantized: [Int: [Rule]] = [
        QuantizedInput.left: [.types(bytes)],
        QuantizedInput.right: [.types(bytes), .constant],
        QuantizedInput.bias: [.types([.float32])],
        QuantizedInput.residual: [.types([.float32]), .likeOutput],
        QuantizedInput.leftScale: [.types([.float32]), .single],
        QuantizedInput.leftZero: [.types(bytes), .single],
        QuantizedInput.rightScale: [.types([.float32]), .constant],
        QuantizedInput.rightZero: [.types(bytes), .constant],
        QuantizedInput.outputScale: [.types([.float32]), .constant, .single],
        QuantizedInput.outputZero: [.types(bytes), .constant, .single],
    ]

    /// By operator; those that are not here are not fused by passes.
    static let all: [OperatorSchema: FusedForm] = [
        .fusedMatMul: FusedForm(inputs: [2: [.vector], 3: [.likeOutput]]),
        .fusedConv: FusedForm(inputs: [3: [.likeOutput]]),
        .quantizedMatMul: FusedForm(inputs: quantized),
        .quantizedConv: FusedForm(inputs: quantized),
        .quantizedBinary: FusedForm(
            inputs: [0: [.types(bytes)], 3: [.types(bytes)], 7: [.types(bytes), .single]],
            hasActivation: false),
        .blockMatMul: FusedForm(
            inputs: [
                0: [.types([.float32])], 1: [.constant], 2: [.vector], 3: [.likeOutput],
                4: [.constant, .types([.float32])], 5: [.constant, .types([.float32])],
            ]),
    ]
}

extension Graph {
    /// How a fused node differs from what its operator may be; nil for a legal one.
    func fusedFormViolation(at node: NodeID) -> String? {
        guard let form = FusedForm.all[schema(of: node)], let output = output(0, of: node) else {
            return nil
        }
        let attributes = attributes[Int(node.index)]
        if form.hasActivation {
            if (try? FusedActivation(attributes: attributes)) == nil {
                return "\(describe(node)): an activation that nothing computes"
            }
        } else if attributes["activation"] != nil {
            return "\(describe(node)): no activation can follow"
        }
        for (index, rules) in form.inputs.sorted(by: { $0.key < $1.key }) {
            guard let value = input(index, of: node) else { continue }
            for rule in rules {
                guard let reason = broken(rule, value, output) else { continue }
                return "\(describe(node)): input \(index), '\(name(of: value))', \(reason)"
            }
        }
        return nil
    }

    private func broken(_ rule: FusedForm.Rule, _ value: ValueID, _ output: ValueID) -> String? {
        let own = type(of: value)
        let result = type(of: output)
        switch rule {
        case .constant:
            return constant(value) == nil ? "is computed" : nil
        case .types(let types):
            guard let type = own.elementType, !types.contains(type) else { return nil }
            return "is \(type)"
        case .likeOutput:
            if let left = own.elementType, let right = result.elementType, left != right {
                return "is \(left), the output \(right)"
            }
            guard let left = own.dimensions, let right = result.dimensions, left != right else {
                return nil
            }
            return "is \(own), the output \(result)"
        case .vector:
            guard let dimensions = own.dimensions else { return nil }
            guard dimensions.count == 1 else { return "is \(own), not a vector" }
            guard let last = result.dimensions?.last, last != dimensions[0] else { return nil }
            return "is \(own), the output \(result)"
        case .single:
            guard let dimensions = own.dimensions else { return nil }
            return dimensions.allSatisfy { $0.fixed == 1 } ? nil : "is \(own), not one number"
        }
    }
}

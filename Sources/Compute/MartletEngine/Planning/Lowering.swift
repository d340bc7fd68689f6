// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
package import MartletGraph
internal import MartletTensor

/// One node while it is turned into steps: what an operator's `lower` reads and writes.
///
/// All shapes are numbers. An operator reads its operands and attributes, then emits steps, or
/// states that an output is an input under another shape (`alias`).
package final class Lowering {
    package let inputs: [Operand?]
    package let outputs: [Operand?]
    package let attributes: [String: AttributeValue]
    /// "Conv 'stem'": how messages name the node.
    package let description: String
    /// The most threads that the model's steps use, at least 1.
    let threads: Int32

    let builder: PlanBuilder
    private(set) var scratchSlots: [Slot] = []

    init(
        builder: PlanBuilder, inputs: [Operand?], outputs: [Operand?],
        attributes: [String: AttributeValue], description: String
    ) {
        self.builder = builder
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
        self.description = description
        threads = martlet_pool_threads(builder.threads)
    }

    // MARK: Reading

    /// The input at `index`, which must be there.
    func input(_ index: Int = 0) throws -> Operand {
        guard index < inputs.count, let operand = inputs[index] else {
            throw failure("input \(index) is missing", .invalidModel)
        }
        return operand
    }

    /// The input at `index`; nil where it is absent.
    func optional(_ index: Int) -> Operand? { index < inputs.count ? inputs[index] : nil }

    /// The output at `index`, which must be there.
    func output(_ index: Int = 0) throws -> Operand {
        guard let operand = optionalOutput(index) else {
            throw failure("output \(index) is missing", .invalidModel)
        }
        return operand
    }

    func optionalOutput(_ index: Int) -> Operand? {
        index < outputs.count ? outputs[index] : nil
    }

    func int(_ name: String, default fallback: Int = 0) -> Int {
        attributes[name]?.int ?? fallback
    }

    func float(_ name: String, default fallback: Float = 0) -> Float {
        attributes[name]?.float ?? fallback
    }

    func string(_ name: String, default fallback: String = "") -> String {
        attributes[name]?.string ?? fallback
    }

    func ints(_ name: String) -> [Int]? { attributes[name]?.ints?.map { Int($0) } }

    /// An axis counted from either end, as one counted from the front.
    func axis(_ axis: Int, rank: Int) throws -> Int {
        let counted = axis < 0 ? axis + rank : axis
        guard counted >= 0, counted < rank else {
            throw failure("axis \(axis) of a tensor with \(rank) dimensions", .invalidModel)
        }
        return counted
    }

    /// Whole numbers that an attribute or, in later opsets, a constant input gives; nil if neither.
    func ints(attribute: String, orInput index: Int) throws -> [Int]? {
        if let values = ints(attribute) { return values }
        guard let operand = optional(index) else { return nil }
        guard let values = operand.integers else {
            throw failure("input \(index) must be known before the run", .unsupported)
        }
        return values
    }

    /// The kernels' number for the operand's type.
    func dtype(_ operand: Operand) throws -> martlet_dtype {
        guard let dtype = operand.elementType.kernelType else {
            throw failure("elements of type \(operand.elementType.displayName)", .unsupported)
        }
        return dtype
    }

    /// Bytes of one element, for steps that only move elements.
    func elementBytes(_ operand: Operand) throws -> Int32 {
        guard let bits = operand.elementType.bitWidth, bits >= 8 else {
            throw failure("elements of type \(operand.elementType.displayName)", .unsupported)
        }
        return Int32(bits / 8)
    }

    /// Fails unless the operand holds 32-bit floats.
    func expectFloat32(_ operand: Operand) throws {
        guard operand.elementType == .float32 else {
            throw failure("elements of type \(operand.elementType.displayName)", .unsupported)
        }
    }

    /// Fails unless every operand repeats to exactly this shape: what steps read is not checked.
    func expectBroadcast(_ operands: [Operand], to shape: Shape) throws {
        for operand in operands where operand.count != 1 {
            let lead = shape.rank - operand.shape.rank
            let fits =
                lead >= 0
                && operand.shape.indices.allSatisfy {
                    operand.shape[$0] == 1 || operand.shape[$0] == shape[lead + $0]
                }
            guard fits else {
                throw failure(
                    "shape \(operand.shape) does not broadcast to \(shape)", .invalidInput)
            }
        }
    }

    /// Fails for a table of more entries than a plan may hold: sizes come from whoever asks.
    func expectTable(of count: Int) throws {
        guard count <= 1 << 26 else {
            throw failure("a table of \(count) entries", .limitExceeded)
        }
    }

    func failure(_ message: String, _ code: EngineError.Code = .unsupported) -> EngineError {
        EngineError(code, "\(description): \(message)")
    }

    // MARK: Writing

    /// Adds a step; `arguments` is copied into the plan.
    func emit<Arguments: BitwiseCopyable>(_ kernel: StepKernel, _ arguments: Arguments) throws {
        for operand in inputs + outputs where operand?.elementType == .bytes {
            throw failure("elements of type BYTES")
        }
        unsafe builder.append(kernel, arguments, description: description)
    }

    /// Uninitialised memory for this node's steps, 64-byte aligned.
    func scratch(byteCount: Int) -> Slot {
        guard byteCount > 0 else { return .none }
        let slot = builder.slots.addArena(byteCount: byteCount)
        scratchSlots.append(slot)
        return slot
    }

    /// Takes over the scratch of a lowering that worked for this node.
    func adopt(_ other: Lowering) { scratchSlots += other.scratchSlots }

    /// Makes an output the input's bytes under the output's shape: no step, no copy.
    func alias(input: Int = 0, output: Int = 0, byteOffset: Int = 0) throws {
        let from = try self.input(input)
        let to = try self.output(output)
        let byteCount = to.elementType.byteCount(elements: to.count) ?? 0
        builder.redirect(
            to, to: builder.slots.addView(of: from.slot, offset: byteOffset, byteCount: byteCount))
    }

    /// Allows the output to be computed in the input's memory, if nothing reads that later.
    func mayReuse(input: Int, output: Int = 0) {
        guard let from = optional(input), let to = optionalOutput(output),
            from.elementType == to.elementType, to.elementType != .bool, from.shape == to.shape
        else { return }
        builder.slots.mayReuse(to.slot, from.slot)
    }

    /// Data that steps need and that is known now, such as indices.
    func constant(_ tensor: Tensor) -> Slot { builder.slots.addFixed(tensor) }

    /// A constant in the form that a kernel wants, made once a session and shared by all plans.
    /// - Parameter format: tells apart forms of one constant; equal formats must fill equally.
    func packed(
        _ operand: Operand, format: String, byteCount: Int,
        fill: (Tensor, UnsafeMutableRawPointer) throws -> Void
    ) throws -> Slot {
        guard let tensor = operand.constant else {
            throw failure("a weight must be known before the run", .unsupported)
        }
        let storage = try unsafe builder.weights.storage(
            of: tensor, value: operand.value, format: format, byteCount: byteCount
        ) { target in
            try unsafe fill(tensor, target)
        }
        return builder.slots.addFixed(storage)
    }
}

extension ElementType {
    /// The kernels' number for this type; nil where kernels do not know it.
    var kernelType: martlet_dtype? {
        switch self {
        case .float32: MARTLET_F32
        case .float64: MARTLET_F64
        case .float16: MARTLET_F16
        case .bfloat16: MARTLET_BF16
        case .int8: MARTLET_I8
        case .int16: MARTLET_I16
        case .int32: MARTLET_I32
        case .int64: MARTLET_I64
        case .uint8: MARTLET_U8
        case .uint16: MARTLET_U16
        case .uint32: MARTLET_U32
        case .uint64: MARTLET_U64
        case .bool: MARTLET_BOOL
        default: nil
        }
    }
}

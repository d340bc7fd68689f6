// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

// Operators whose output is their input's bytes.
extension NativeOperator {
    static let identity = NativeOperator(.identity) { node in try node.alias() }
    static let reshape = NativeOperator(.reshape) { node in try node.alias() }
    static let flatten = NativeOperator(.flatten) { node in try node.alias() }
    static let squeeze = NativeOperator(.squeeze) { node in try node.alias() }
    static let unsqueeze = NativeOperator(.unsqueeze) { node in try node.alias() }

    /// An identity at inference; the mask, where asked for, is all true.
    static let dropout = NativeOperator(.dropout) { node in
        let isTraining = node.optional(2)?.constant.flatMap { HostValue($0)?.reals?.first } ?? 0
        let ratio = node.optional(1).map { $0.reals?.first ?? 1 } ?? 0.5
        if isTraining != 0, ratio != 0 {
            throw node.failure("training mode; only inference is supported")
        }
        if node.optionalOutput(0) != nil { try node.alias() }
        if let mask = node.optionalOutput(1) { try emitFill(node, mask, bits: 1) }
    }

    static let constantOfShape = NativeOperator(.constantOfShape) { node in
        let output = try node.output()
        guard let value = node.attributes["value"]?.tensor else {
            return try emitFill(node, output, bits: 0)
        }
        guard value.byteCount <= 8 else { throw node.failure("a value of several elements") }
        var bits: UInt64 = 0
        unsafe withUnsafeMutableBytes(of: &bits) { target in
            unsafe target.copyMemory(from: value.bytes)
        }
        try emitFill(node, output, bits: bits)
    }
}

struct FillArguments: BitwiseCopyable {
    var elementBytes: Int32
    var output: Slot
    var bits: UInt64
    var count: Int64
}

/// Emits copies of one element, given as its little-endian bits.
func emitFill(_ node: Lowering, _ output: Operand, bits: UInt64) throws {
    try unsafe node.emit(
        fillStep,
        FillArguments(
            elementBytes: node.elementBytes(output), output: output.slot, bits: bits,
            count: Int64(output.count)))
}

func fillStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: FillArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe withUnsafePointer(to: arguments.bits) { bits in
        unsafe martlet_fill(
            arguments.elementBytes, frame[arguments.output], bits, arguments.count)
    }
}

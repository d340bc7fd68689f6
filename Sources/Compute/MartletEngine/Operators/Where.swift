// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let `where` = NativeOperator(.where) { node in
        try emitWhere(node, node.input(0), node.input(1), node.input(2), node.output())
    }
}

/// Emits `output = condition ? yes : no` with broadcasting.
func emitWhere(
    _ node: Lowering, _ condition: Operand, _ yes: Operand, _ no: Operand, _ output: Operand
) throws {
    try node.expectBroadcast([condition, yes, no], to: output.shape)
    let loops = BroadcastLoops(
        output: output.shape, operands: [condition.shape, yes.shape, no.shape])
    try unsafe node.emit(
        whereStep,
        WhereArguments(
            elementBytes: node.elementBytes(yes), condition: condition.slot, yes: yes.slot,
            no: no.slot, output: output.slot, shape: Extents(loops.shape),
            conditionStrides: Extents(loops.strides[0]), yesStrides: Extents(loops.strides[1]),
            noStrides: Extents(loops.strides[2])))
}

struct WhereArguments: BitwiseCopyable {
    var elementBytes: Int32
    var condition: Slot
    var yes: Slot
    var no: Slot
    var output: Slot
    var shape: Extents
    var conditionStrides: Extents
    var yesStrides: Extents
    var noStrides: Extents
}

func whereStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: WhereArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe arguments.shape.withPointer { shape in
        unsafe arguments.conditionStrides.withPointer { conditionStrides in
            unsafe arguments.yesStrides.withPointer { yesStrides in
                unsafe arguments.noStrides.withPointer { noStrides in
                    unsafe martlet_where(
                        arguments.elementBytes,
                        frame[arguments.condition]?.assumingMemoryBound(to: UInt8.self),
                        frame[arguments.yes], frame[arguments.no], frame[arguments.output],
                        arguments.shape.count, shape, conditionStrides, yesStrides, noStrides,
                        frame.threads)
                }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// A buffer of a plan: an index into the running context's table of addresses.
struct Slot: BitwiseCopyable, Hashable, Sendable {
    var index: Int32

    /// Stands for an optional operand that is absent.
    static let none = Slot(index: -1)
}

/// What a step sees of the run it belongs to. Steps get it as an untyped pointer, so that they are
/// functions that C could call as well.
@safe struct Frame {
    /// Addresses by slot.
    let bases: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// The most threads that a step may use; 0 means the whole pool.
    let threads: Int32
}

/// One step of a plan: reads its argument block and the frame, returns a `StepStatus`.
///
/// Steps are global functions: they capture nothing, allocate nothing, and must not throw, trap or
/// read anything but their arguments and the slots named there.
typealias StepKernel = @convention(c) (UnsafeRawPointer, UnsafeRawPointer) -> Int32

/// What a step returns; any other number is a kernel that refused its arguments.
enum StepStatus {
    static let done: Int32 = 0
    static let indexOutOfRange: Int32 = 1
    /// An input's contents are not ones that the operator takes.
    static let invalidValue: Int32 = 2
}

/// A step in its plan: fixed size, in contiguous memory.
@safe struct StepRecord: BitwiseCopyable {
    var kernel: StepKernel
    /// Where the step's argument block begins in the plan's argument memory, in bytes.
    var argumentsOffset: Int
}

/// A step's view of its frame.
// Sendable: parts of a parallel step only read the frame, which outlives the step.
@safe struct StepFrame: @unchecked Sendable {
    private let frame: UnsafePointer<Frame>

    init(_ raw: UnsafeRawPointer) {
        unsafe frame = raw.assumingMemoryBound(to: Frame.self)
    }

    var threads: Int32 { unsafe frame.pointee.threads }

    /// The slot's address; nil for an absent operand.
    subscript(slot: Slot) -> UnsafeMutableRawPointer? {
        guard slot.index >= 0 else { return nil }
        return unsafe frame.pointee.bases[Int(slot.index)]
    }

    /// The slot's address as floats; nil for an absent operand.
    func floats(_ slot: Slot) -> UnsafeMutablePointer<Float>? {
        unsafe self[slot]?.assumingMemoryBound(to: Float.self)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// A step that Swift code computes while the model runs: operators that no model spends its time
/// in. What is hot has a kernel and a step of its own.
final class Computation: Sendable {
    typealias Body = @Sendable (ComputationRun) throws(StepFault) -> Void

    let body: Body

    init(_ body: @escaping Body) {
        self.body = body
    }
}

/// Why a computation gave up: what its step returns.
struct StepFault: Error {
    var status: Int32

    static let indexOutOfRange = StepFault(status: StepStatus.indexOutOfRange)
    static let invalidValue = StepFault(status: StepStatus.invalidValue)
}

/// What a computation sees of its run: the elements of its operands.
@safe struct ComputationRun {
    let frame: StepFrame

    var threads: Int32 { frame.threads }

    /// An operand's elements; the type is the caller's to know.
    func values<Element: BitwiseCopyable>(
        _ operand: Operand, as type: Element.Type = Element.self
    ) -> Values<Element> {
        guard let base = unsafe frame[operand.slot] else { return Values() }
        return unsafe Values(base.assumingMemoryBound(to: Element.self), count: operand.count)
    }

    func floats(_ operand: Operand) -> Values<Float> { values(operand) }

    /// An operand's memory, for steps that only move elements.
    func bytes(_ operand: Operand) -> Values<UInt8> {
        guard let base = unsafe frame[operand.slot],
            let count = operand.elementType.byteCount(elements: operand.count)
        else { return Values() }
        return unsafe Values(base.assumingMemoryBound(to: UInt8.self), count: count)
    }
}

/// Elements in a plan's memory. Every access is checked.
// Sendable: parts of a parallel loop write to disjoint places; that is the loop's to see to.
@safe struct Values<Element: BitwiseCopyable>: @unchecked Sendable {
    private let base: UnsafeMutablePointer<Element>?
    let count: Int

    init() {
        unsafe base = nil
        count = 0
    }

    init(_ base: UnsafeMutablePointer<Element>, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    subscript(index: Int) -> Element {
        @inline(__always) get {
            precondition(index >= 0 && index < count, "element out of range")
            return unsafe base.unsafelyUnwrapped[index]
        }
        @inline(__always) nonmutating set {
            precondition(index >= 0 && index < count, "element out of range")
            unsafe base.unsafelyUnwrapped[index] = newValue
        }
    }

    /// The elements from one on, unchecked: for inner loops over places that were checked before.
    func withPointer(from start: Int, _ body: (UnsafeMutablePointer<Element>) -> Void) {
        precondition(start >= 0 && start <= count, "element out of range")
        guard let base = unsafe base else { return }
        unsafe body(base + start)
    }

    /// Sets every element.
    func fill(_ value: Element) {
        for index in 0..<count { self[index] = value }
    }

    /// Copies `length` elements of `source`, from `from` on, to `to`.
    func copy(_ source: Values, from: Int, to: Int, length: Int) {
        if length == 0 { return }
        precondition(
            length > 0 && from >= 0 && to >= 0 && from <= source.count - length
                && to <= count - length, "elements out of range")
        unsafe base.unsafelyUnwrapped.advanced(by: to).update(
            from: source.base.unsafelyUnwrapped.advanced(by: from), count: length)
    }
}

struct ComputationArguments: BitwiseCopyable {
    var computation: Slot
}

func computationStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: ComputationArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let address = unsafe frame[arguments.computation] else { return -1 }
    // The plan holds the computation as it holds its constants.
    let computation = unsafe Unmanaged<Computation>.fromOpaque(address).takeUnretainedValue()
    do throws(StepFault) {
        try computation.body(ComputationRun(frame: frame))
        return StepStatus.done
    } catch {
        return error.status
    }
}

extension Lowering {
    /// Adds a step that runs `body`. What it reads and writes must be operands of this node, its
    /// temporaries, or constants.
    func compute(_ body: @escaping Computation.Body) throws {
        let computation = Computation(body)
        let holder = unsafe TensorStorage(
            borrowing: Unmanaged.passUnretained(computation).toOpaque(), byteCount: 0,
            owner: computation)
        try unsafe emit(
            computationStep,
            ComputationArguments(computation: builder.slots.addFixed(holder)))
    }

    /// The input as 32-bit floats.
    func floats(_ index: Int) throws -> Operand { try cast(input(index), to: .float32) }

    func optionalFloats(_ index: Int) throws -> Operand? {
        try optional(index).map { try cast($0, to: .float32) }
    }

    /// The input as 64-bit whole numbers.
    func integers(_ index: Int) throws -> Operand { try cast(input(index), to: .int64) }

    func optionalIntegers(_ index: Int) throws -> Operand? {
        try optional(index).map { try cast($0, to: .int64) }
    }

    /// Lets `body` make an output in another element type, and converts it after.
    func produce(
        _ index: Int = 0, as elementType: ElementType = .float32, _ body: (Operand) throws -> Void
    ) throws {
        guard let output = optionalOutput(index) else { return }
        if output.elementType == elementType { return try body(output) }
        let wide = try temporary(elementType, output.shape)
        try body(wide)
        try emitCast(self, wide, output)
    }
}

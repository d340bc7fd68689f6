// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletTensor

/// A session's program for one set of input shapes: steps, their arguments, and where buffers lie.
///
/// Immutable and shared by contexts; what runs need to write (addresses, arenas) is theirs.
// Sendable: the argument memory is written while the plan is built and only read afterwards.
@safe final class Plan: @unchecked Sendable {
    /// Where a slot's bytes are.
    enum Placement {
        /// A constant, or a weight in the session's memory.
        case fixed(TensorStorage, offset: Int)
        case arena(offset: Int)
        /// In the input tensor, this many bytes in.
        case input(index: Int, offset: Int)
        case output(index: Int, offset: Int)
    }

    /// Where an output's tensor comes from.
    enum OutputSource {
        /// Steps write it.
        case computed
        /// It is an input's bytes; `bytes` tensors have no other way.
        case copyOfInput(Int)
        case constant(Tensor)
    }

    struct Output {
        var elementType: ElementType
        var shape: Shape
        /// 0 where the size follows from the run's inputs (`bytes` tensors).
        var byteCount: Int
        var source: OutputSource
    }

    let inputShapes: [Shape]
    let steps: [StepRecord]
    let arguments: UnsafeMutableRawPointer
    let argumentsByteCount: Int
    let placements: [Placement]
    /// The slots that each run has to point at its own tensors.
    let boundSlots: [Int]
    let arenaByteCount: Int
    let outputs: [Output]
    /// The node that each step belongs to, for messages and profiles.
    let stepNodes: [StepNode]

    struct StepNode: Sendable {
        var name: String
        var operatorName: String
    }

    init(
        inputShapes: [Shape], steps: [StepRecord], arguments: [UInt8], placements: [Placement],
        arenaByteCount: Int, outputs: [Output], stepNodes: [StepNode]
    ) {
        self.inputShapes = inputShapes
        self.steps = steps
        argumentsByteCount = arguments.count
        let block = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(arguments.count, 1), alignment: TensorStorage.alignment)
        unsafe block.copyBytes(from: arguments)
        guard let base = block.baseAddress else { preconditionFailure("no storage") }
        unsafe self.arguments = base
        self.placements = placements
        boundSlots = placements.indices.filter {
            switch placements[$0] {
            case .input, .output: true
            case .fixed, .arena: false
            }
        }
        self.arenaByteCount = arenaByteCount
        self.outputs = outputs
        self.stepNodes = stepNodes
    }

    deinit { unsafe arguments.deallocate() }

    /// Bytes that the plan itself takes, roughly.
    var byteCount: Int {
        argumentsByteCount + steps.count * (MemoryLayout<StepRecord>.stride + 64)
            + placements.count * MemoryLayout<Placement>.stride
    }

    /// Whether the plan is for exactly these tensors' shapes; allocates nothing.
    func fits(_ tensors: [Tensor]) -> Bool {
        guard tensors.count == inputShapes.count else { return false }
        for index in inputShapes.indices where inputShapes[index] != tensors[index].shape {
            return false
        }
        return true
    }
}

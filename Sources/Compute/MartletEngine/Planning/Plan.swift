// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletGraph
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

    /// An input's contents, where shapes depend on them.
    struct Content: Sendable {
        var input: Int
        var tensor: Tensor
    }

    /// What a plan is made for.
    struct Key: Sendable {
        var shapes: [Shape]
        var types: [ElementType]
        var contents: [Content]

        func isSame(as other: Key) -> Bool {
            shapes == other.shapes && types == other.types
                && contents.count == other.contents.count
                && zip(contents, other.contents).allSatisfy {
                    $0.input == $1.input && $0.tensor.isSame(as: $1.tensor)
                }
        }
    }

    let key: Key
    /// Nodes that the plan could not reach: they need contents that its steps compute, or run on
    /// whole values. Empty for a graph of fixed structure.
    let deferred: [NodeID]
    /// The values that `outputs` are of: the graph's outputs, unless nodes are deferred.
    let exports: [ValueID]
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
        var work = OperatorWork()
        /// Whether the node has no further step.
        var isLast = true
    }

    init(
        key: Key, deferred: [NodeID] = [], exports: [ValueID] = [], steps: [StepRecord],
        arguments: [UInt8], placements: [Placement], arenaByteCount: Int, outputs: [Output],
        stepNodes: [StepNode]
    ) {
        self.key = key
        self.deferred = deferred
        self.exports = exports
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
            + deferred.count * MemoryLayout<NodeID>.stride
    }

    /// Whether the plan is for exactly these tensors' shapes, and contents where those matter;
    /// allocates nothing.
    func fits(_ tensors: [Tensor]) -> Bool {
        guard tensors.count == key.shapes.count else { return false }
        for index in tensors.indices
        where key.shapes[index] != tensors[index].shape
            || key.types[index] != tensors[index].elementType
        {
            return false
        }
        for index in key.contents.indices
        where !key.contents[index].tensor.isSame(as: tensors[key.contents[index].input]) {
            return false
        }
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletTensor

/// Dimensions or strides in an argument block.
struct Extents: BitwiseCopyable {
    private var values: InlineArray<12, Int64>
    var count: Int32

    init(_ source: [Int64]) {
        values = InlineArray(repeating: 0)
        count = Int32(min(source.count, 12))
        for index in 0..<Int(count) { values[index] = source[index] }
    }

    init(_ shape: Shape) {
        self.init(shape.map { Int64($0) })
    }

    subscript(index: Int) -> Int64 { values[index] }

    /// The numbers in memory, for the length of `body`.
    func withPointer<Result>(_ body: (UnsafePointer<Int64>) -> Result) -> Result {
        unsafe withUnsafeBytes(of: values) { bytes in
            // An InlineArray is its elements and never empty.
            guard let base = bytes.baseAddress else { preconditionFailure("no storage") }
            return unsafe body(base.assumingMemoryBound(to: Int64.self))
        }
    }
}

/// The loops over an output that several operands broadcast to, neighbouring axes merged where
/// every operand allows it.
struct BroadcastLoops {
    var shape: [Int64]
    /// By operand, then axis; 0 where the operand repeats.
    var strides: [[Int64]]

    init(output: Shape, operands: [Shape]) {
        let rank = output.rank
        let full = operands.map { operand in
            let own = operand.rowMajorStrides
            let lead = rank - operand.rank
            return (0..<rank).map { axis -> Int64 in
                axis < lead || operand[axis - lead] == 1 ? 0 : own[axis - lead]
            }
        }
        shape = []
        strides = operands.map { _ in [] }
        for axis in 0..<rank where output[axis] != 1 {
            let size = Int64(output[axis])
            let merges =
                !shape.isEmpty
                && operands.indices.allSatisfy { strides[$0].last == full[$0][axis] &* size }
            if merges {
                shape[shape.count - 1] *= size
                for index in operands.indices {
                    strides[index][shape.count - 1] = full[index][axis]
                }
            } else {
                shape.append(size)
                for index in operands.indices { strides[index].append(full[index][axis]) }
            }
        }
        if shape.isEmpty {
            shape = [1]
            for index in operands.indices { strides[index] = [0] }
        }
    }
}

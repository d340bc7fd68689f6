// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// The room that a plan has; a step goes to the smallest that holds it.
struct StepCapacity: Hashable {
    var rows: Int
    var wanted: Int
    var blocks: Int

    init(_ step: DecoderStep) {
        rows = StepCapacity.rows(step.tokens.count)
        wanted = StepCapacity.rows(step.logitRows.count)
        var blocks = 256
        while blocks < step.blocks.count { blocks *= 4 }
        self.blocks = blocks
    }

    /// 1, or 12 times a power of two: tiles of rows are then full.
    private static func rows(_ count: Int) -> Int {
        if count <= 1 { return 1 }
        var rows = 12
        while rows < count { rows *= 2 }
        return rows
    }
}

/// The graph's inputs at one capacity, filled anew for each step; the cache is the last.
@safe final class StepBuffers {
    let inputs: [Tensor]
    /// Held for its pointer.
    private let rowAdapters: Tensor
    private let pointers: [UnsafeMutablePointer<Int32>]

    /// - Parameter slab: where adapters lie, if there may be any.
    init(_ capacity: StepCapacity, cache: Tensor, slab: Tensor?) throws {
        let shapes: [Shape] = [
            [capacity.rows], [capacity.rows], [capacity.rows], [capacity.rows, 4],
            [capacity.blocks], [capacity.wanted], [4], [capacity.rows],
        ]
        var inputs: [Tensor] = []
        var pointers: [UnsafeMutablePointer<Int32>] = unsafe []
        for shape in shapes {
            let count = shape.reduce(1, *)
            let storage = TensorStorage(byteCount: count * 4)
            let pointer = unsafe storage.base.assumingMemoryBound(to: Int32.self)
            unsafe pointer.initialize(repeating: 0, count: count)
            unsafe pointers.append(pointer)
            inputs.append(try Tensor(elementType: .int32, shape: shape, storage: storage))
        }
        let rowAdapters = inputs.removeLast()
        self.inputs = inputs + [cache] + (slab.map { [rowAdapters, $0] } ?? [])
        self.rowAdapters = rowAdapters
        unsafe self.pointers = pointers
    }

    /// Writes a step that was checked and fits the capacity.
    func fill(_ step: DecoderStep, _ shape: DecoderShape) throws {
        let (tokens, positions, slots) = unsafe (pointers[0], pointers[1], pointers[2])
        for (row, token) in step.tokens.enumerated() { unsafe tokens[row] = token }
        let length = Int32(shape.blockLength)
        for (index, slice) in step.slices.enumerated() {
            unsafe pointers[3][index * 4] = slice.firstRow
            unsafe pointers[3][index * 4 + 1] = slice.rowCount
            unsafe pointers[3][index * 4 + 2] = slice.firstPosition
            unsafe pointers[3][index * 4 + 3] = slice.firstBlock
            for offset in 0..<slice.rowCount {
                let row = Int(slice.firstRow + offset)
                let position = slice.firstPosition + offset
                let block = step.blocks[Int(slice.firstBlock + position / length)]
                unsafe positions[row] = position
                unsafe pointers[7][row] = slice.adapter
                unsafe slots[row] = block * length + position % length
            }
        }
        for (index, block) in step.blocks.enumerated() { unsafe pointers[4][index] = block }
        for (index, row) in step.logitRows.enumerated() { unsafe pointers[5][index] = row }
        unsafe pointers[6][0] = Int32(step.tokens.count)
        unsafe pointers[6][1] = Int32(step.slices.count)
        unsafe pointers[6][2] = Int32(step.blocks.count)
        unsafe pointers[6][3] = Int32(step.logitRows.count)
    }
}

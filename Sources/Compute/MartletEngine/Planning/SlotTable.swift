// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// The buffers of a plan in the making: what each is, when it lives, and what shares its memory.
struct SlotTable {
    private enum Kind {
        case fixed(TensorStorage, offset: Int)
        case arena
        case input(Int)
        case output(Int)
        /// Part of another slot's memory; the root is never a view itself.
        case view(of: Int, offset: Int)
    }

    private struct Record {
        var kind: Kind
        var byteCount: Int
        var firstStep = Int.max
        var lastStep = -1
        /// The slot whose memory this one would like to take over.
        var reuses: Int?
    }

    private var records: [Record] = []

    // MARK: Adding

    mutating func addArena(byteCount: Int) -> Slot {
        add(Record(kind: .arena, byteCount: byteCount))
    }

    mutating func addInput(_ index: Int, byteCount: Int) -> Slot {
        add(Record(kind: .input(index), byteCount: byteCount))
    }

    mutating func addFixed(_ tensor: Tensor) -> Slot {
        add(
            Record(
                kind: .fixed(tensor.storage, offset: tensor.byteOffset),
                byteCount: tensor.byteCount))
    }

    mutating func addFixed(_ storage: TensorStorage) -> Slot {
        add(Record(kind: .fixed(storage, offset: 0), byteCount: storage.byteCount))
    }

    /// A slot that is `byteCount` bytes of another one, `offset` bytes in.
    mutating func addView(of slot: Slot, offset: Int, byteCount: Int) -> Slot {
        let (root, rootOffset) = root(of: slot)
        return add(
            Record(kind: .view(of: root, offset: rootOffset + offset), byteCount: byteCount))
    }

    private mutating func add(_ record: Record) -> Slot {
        records.append(record)
        return Slot(index: Int32(records.count - 1))
    }

    private func root(of slot: Slot) -> (index: Int, offset: Int) {
        let index = Int(slot.index)
        if case .view(let root, let offset) = records[index].kind { return (root, offset) }
        return (index, 0)
    }

    // MARK: Liveness

    /// Notes that the steps in the range read or write the slot.
    mutating func touch(_ slot: Slot, steps: Range<Int>) {
        guard slot.index >= 0, !steps.isEmpty else { return }
        let (index, _) = root(of: slot)
        records[index].firstStep = min(records[index].firstStep, steps.lowerBound)
        records[index].lastStep = max(records[index].lastStep, steps.upperBound - 1)
    }

    /// Allows `slot` to take over `other`'s memory, should `other` die as `slot` is made.
    mutating func mayReuse(_ slot: Slot, _ other: Slot) {
        let (index, offset) = root(of: slot)
        let (otherIndex, otherOffset) = root(of: other)
        guard offset == 0, otherOffset == 0, index != otherIndex,
            records[index].reuses == nil
        else { return }
        records[index].reuses = otherIndex
    }

    // MARK: Outputs

    /// Where a graph output's value is found.
    enum OutputPlace { case placed, input(Int), fixed, needsCopy }

    /// Makes the slot's memory the output's own where that is possible.
    mutating func placeOutput(_ output: Int, at slot: Slot, byteCount: Int) -> OutputPlace {
        let (index, offset) = root(of: slot)
        switch records[index].kind {
        case .arena where offset == 0 && (records[index].byteCount) == byteCount:
            records[index].kind = .output(output)
            return .placed
        case .input(let input)
        where offset == 0 && (records[index].byteCount) == byteCount:
            return .input(input)
        case .fixed: return .fixed
        default: return .needsCopy
        }
    }

    mutating func addOutput(_ output: Int, byteCount: Int) -> Slot {
        add(Record(kind: .output(output), byteCount: byteCount))
    }

    // MARK: Placing

    /// Every slot's place, and the arena's size; nil when sizes overflow.
    mutating func place() -> (placements: [Plan.Placement], arenaByteCount: Int)? {
        var sharedWith = [Int](records.indices)
        for index in records.indices { share(index, &sharedWith) }
        var buffers: [ArenaPlanner.Buffer] = []
        var bufferOf = [Int](repeating: -1, count: records.count)
        for index in records.indices where sharedWith[index] == index {
            guard case .arena = records[index].kind, records[index].lastStep >= 0
            else { continue }
            bufferOf[index] = buffers.count
            buffers.append(
                ArenaPlanner.Buffer(
                    byteCount: records[index].byteCount, firstStep: records[index].firstStep,
                    lastStep: records[index].lastStep))
        }
        guard let layout = ArenaPlanner.place(buffers) else { return nil }
        func placement(_ index: Int, offset: Int) -> Plan.Placement {
            switch records[index].kind {
            case .fixed(let storage, let start):
                return .fixed(storage, offset: start + offset)
            case .input(let input): return .input(index: input, offset: offset)
            case .output(let output): return .output(index: output, offset: offset)
            case .view(let root, let inner): return placement(root, offset: inner + offset)
            case .arena:
                let buffer = bufferOf[sharedWith[index]]
                return .arena(offset: (buffer < 0 ? 0 : layout.offsets[buffer]) + offset)
            }
        }
        return (records.indices.map { placement($0, offset: 0) }, layout.byteCount)
    }

    private mutating func share(_ index: Int, _ sharedWith: inout [Int]) {
        guard case .arena = records[index].kind, let other = records[index].reuses,
            case .arena = records[sharedWith[other]].kind
        else { return }
        let owner = sharedWith[other]
        // The owner's life ends where this slot's begins, and nothing larger is asked of it.
        guard records[owner].lastStep == records[index].firstStep,
            records[owner].byteCount >= records[index].byteCount,
            records[owner].lastStep >= 0
        else { return }
        records[owner].lastStep = max(records[owner].lastStep, records[index].lastStep)
        sharedWith[index] = owner
    }
}

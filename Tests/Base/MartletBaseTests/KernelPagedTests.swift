// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Testing

extension KernelSuite {
    @Suite("Attention over blocks")
    struct Paged {
        /// heads, heads of keys, head size, rows and first position of two sequences, window, cap
        static let shapes: [(Int, Int, Int, [(rows: Int, first: Int)], Int, Float)] = [
            (4, 2, 16, [(7, 0), (1, 40)], 0, 0), (12, 4, 64, [(1, 700), (1, 3)], 0, 0),
            (8, 8, 40, [(19, 300), (2, 0)], 100, 0), (14, 2, 64, [(30, 250), (5, 250)], 0, 20),
            (3, 1, 7, [(5, 13), (4, 1)], 4, 0),
        ]

        @Test(
            "every level agrees with the reference, whatever keys are kept as",
            arguments: [MARTLET_F32, MARTLET_F16, MARTLET_BF16, MARTLET_I8])
        func agreement(type: martlet_dtype) {
            for shape in Paged.shapes {
                let work = PagedWork(type, shape, seed: 3)
                let wanted = work.reference()
                withEachLevel { level in
                    let got = work.run()
                    let worst = zip(got, wanted).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
                    #expect(worst < 5e-6, "level \(level.rawValue), \(shape)")
                }
            }
        }

        @Test(
            "products in bf16 are within its roundings, whatever keys are kept as",
            arguments: [MARTLET_F16, MARTLET_BF16, MARTLET_I8])
        func narrowAgreement(type: martlet_dtype) {
            let more: [(Int, Int, Int, [(rows: Int, first: Int)], Int, Float)] = [
                (16, 2, 128, [(40, 130), (1, 511)], 0, 0), (4, 1, 256, [(9, 60)], 33, 0),
                (2, 2, 512, [(5, 30)], 0, 0), (5, 1, 80, [(90, 0), (3, 191)], 0, 0),
            ]
            for shape in Paged.shapes + more {
                let work = PagedWork(type, shape, seed: 8, isNarrow: true)
                let wanted = work.reference()
                withEachLevel { level in
                    let got = work.run()
                    let worst = zip(got, wanted).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
                    // Scores of up to 10 move by 2^-9 of their terms, shares by 2^-9.
                    #expect(worst < 2e-2, "level \(level.rawValue), \(shape)")
                    let squares = zip(got, wanted).reduce(Float(0)) {
                        $0 + ($1.0 - $1.1) * ($1.0 - $1.1)
                    }
                    let mean = (squares / Float(got.count)).squareRoot()
                    #expect(mean < 2e-3, "level \(level.rawValue), \(shape)")
                }
            }
        }

        @Test(
            "a row's answer is the same, to the bit, alone and in company",
            arguments: [MARTLET_F16, MARTLET_BF16, MARTLET_I8], [false, true])
        func company(type: martlet_dtype, isNarrow: Bool) {
            for window in [0, 90] {
                let all = PagedWork(
                    type, (6, 2, 32, [(40, 500), (3, 20)], window, 0), seed: 4, isNarrow: isNarrow)
                let together = all.run()
                for row in [0, 1, 17, 39] {
                    let alone = all.run(onlyRow: row)
                    let range = (row * 6 * 32)..<((row + 1) * 6 * 32)
                    #expect(alone[range].map(\.bitPattern) == together[range].map(\.bitPattern))
                }
            }
        }

        @Test(
            "positions behind a sequence's end are not read, a NaN within shows",
            arguments: [false, true])
        func ends(isNarrow: Bool) {
            let work = PagedWork(
                MARTLET_F16, (4, 2, 32, [(2, 40), (1, 9)], 0, 0), seed: 9, isNarrow: isNarrow)
            let clean = work.run()
            work.poison(position: 43)
            #expect(work.run().map(\.bitPattern) == clean.map(\.bitPattern))
            work.poison(position: 7)
            #expect(work.run()[..<(2 * 4 * 32)].contains { $0.isNaN })
        }

        @Test("slices and blocks outside what there is are refused and nothing is read")
        func refusals() {
            let work = PagedWork(MARTLET_F32, (4, 2, 16, [(2, 0), (1, 5)], 0, 0), seed: 5)
            for change in [
                (0, 5), (0, -1), (1, 9), (1, -1), (2, 1 << 30), (2, -3), (3, 50), (3, -1),
            ] {
                #expect(work.status(field: change.0, value: Int32(change.1)) == -1, "\(change)")
            }
            #expect(work.status(block: 1 << 20) == -1)
            #expect(work.status(block: -1) == -1)
        }

        @Test("keys turn by their positions and land in their blocks; slots outside are refused")
        func rotary() {
            var generator = SeededRandom(seed: 6)
            let (rows, size) = (3, 8)
            let x = Floats(random: rows * 3 * size, &generator)
            let angles = Floats(repeating: 0, count: rows * size)
            let frequencies = Floats(repeating: 0.5, count: 4)
            unsafe martlet_rotary_angles([0, 3, 7], 3, frequencies.pointer, 4, 1, angles.pointer)
            let keys = Floats(repeating: 0, count: 2 * 16 * size)
            let values = Floats(repeating: 0, count: 2 * 16 * size)
            let turned = Floats(repeating: 0, count: rows * size)
            func run(_ slots: [Int32]) -> Int32 {
                unsafe slots.withUnsafeBufferPointer { slots in
                    var args = unsafe martlet_rotary_args(
                        n: 3, heads: 1, q: x.pointer, k: x.pointer + size,
                        v: x.pointer + 2 * size, q_stride: 24, k_stride: 24, v_stride: 24,
                        angles: angles.pointer, rotary: 8, interleaved: 0, q_norm: nil,
                        k_norm: nil, epsilon: 0, slots: slots.baseAddress,
                        turned: turned.pointer,
                        cache: martlet_cache(
                            type: MARTLET_F32, blocks: 2, kv_heads: 1, head_size: 8,
                            keys: keys.pointer, values: values.pointer))
                    return unsafe martlet_rotary_cache(&args, 1)
                }
            }
            #expect(run([0, 17, 31]) == 0)
            // Row 1 is at slot 17: block 1, place 1; half a turn of 3 · 0.5.
            let (cosine, sine) = unsafe (angles.pointer[8], angles.pointer[12])
            let (real, other) = unsafe (x.pointer[24 + 8], x.pointer[24 + 12])
            let key = unsafe keys.pointer[16 * 8 + 0 * 16 + 1]
            let value = unsafe values.pointer[(16 + 1) * 8 + 2]
            #expect(abs(key - (real * cosine - other * sine)) < 1e-6)
            #expect(unsafe value == x.pointer[24 + 16 + 2])
            #expect(run([0, 32, 1]) == -1)
            #expect(run([0, -1, 1]) == -1)
            #expect(keys.fencesStand && values.fencesStand)
        }

        @Test("8-bit keys and values are within half a step; what is not finite stays so")
        func narrow() {
            var generator = SeededRandom(seed: 7)
            let (rows, heads, size) = (3, 2, 24)
            let width = heads * size
            let x = Floats(random: rows * width, &generator)
            // A row of zeros in one head, an infinity in another.
            for index in 0..<size { unsafe x.pointer[width + index] = 0 }
            unsafe x.pointer[2 * width + size + 3] = .infinity
            let blockBytes = Int(martlet_cache_block_bytes(MARTLET_I8, 2, 24))
            #expect(blockBytes == 2 * 16 * (24 + 4))
            let keys = Room(bytes: 2 * blockBytes)
            let values = Room(bytes: 2 * blockBytes)
            let turned = Floats(repeating: 0, count: rows * width)
            let slots: [Int32] = [0, 17, 31]
            unsafe slots.withUnsafeBufferPointer { slots in
                var args = unsafe martlet_rotary_args(
                    n: 3, heads: 2, q: x.pointer, k: x.pointer, v: x.pointer,
                    q_stride: 48, k_stride: 48, v_stride: 48, angles: x.pointer, rotary: 0,
                    interleaved: 0, q_norm: nil, k_norm: nil, epsilon: 0,
                    slots: slots.baseAddress, turned: turned.pointer,
                    cache: martlet_cache(
                        type: MARTLET_I8, blocks: 2, kv_heads: 2, head_size: 24,
                        keys: keys.pointer, values: values.pointer))
                #expect(unsafe martlet_rotary_cache(&args, 1) == 0)
            }
            for (row, slot) in slots.enumerated() {
                for head in 0..<heads {
                    let (block, place) = (Int(slot) / 16, Int(slot) % 16)
                    let start = block * blockBytes + head * size * 16
                    let at = block * blockBytes + width * 16 + (head * 16 + place) * 4
                    for room in [keys, values] {
                        let scale = unsafe room.pointer.load(fromByteOffset: at, as: Float.self)
                        let isKey = room === keys
                        for d in 0..<size {
                            let offset = start + (isKey ? d * 16 + place : place * size + d)
                            let value = unsafe room.pointer.load(
                                fromByteOffset: offset, as: Int8.self)
                            let exact = unsafe x.pointer[row * width + head * size + d]
                            if row == 2, head == 1 {
                                #expect(scale.isNaN)
                            } else {
                                #expect(abs(Float(value) * scale - exact) <= scale * 0.501)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Random keys, values and queries of two sequences in shuffled blocks.
@safe final class PagedWork {
    private let type: martlet_dtype
    private let heads: Int
    private let kvHeads: Int
    private let size: Int
    private let window: Int
    private let cap: Float
    private var slices: [Int32] = []
    private var blocks: [Int32] = []
    private let rows: Int
    private let cacheBlocks: Int
    private let keys: Room
    private let values: Room
    private let queries: Floats
    private let isNarrow: Bool

    init(
        _ type: martlet_dtype, _ shape: (Int, Int, Int, [(rows: Int, first: Int)], Int, Float),
        seed: UInt64, isNarrow: Bool = false
    ) {
        var generator = SeededRandom(seed: seed)
        self.isNarrow = isNarrow
        self.type = type
        (heads, kvHeads, size, window, cap) = (shape.0, shape.1, shape.2, shape.4, shape.5)
        var row = 0
        for sequence in shape.3 {
            let count = (sequence.first + sequence.rows + 15) / 16
            slices += [
                Int32(row), Int32(sequence.rows), Int32(sequence.first), Int32(blocks.count),
            ]
            let known = blocks.count
            blocks += (0..<count).map { Int32($0 + known) }
            row += sequence.rows
        }
        rows = row
        cacheBlocks = blocks.count + 2
        blocks.shuffle(using: &generator)
        let count = cacheBlocks * kvHeads * size * 16
        let bytes = Int(martlet_dtype_bytes(type))
        let blockBytes = Int(martlet_cache_block_bytes(type, Int64(kvHeads), Int64(size)))
        keys = Room(bytes: cacheBlocks * blockBytes)
        values = Room(bytes: cacheBlocks * blockBytes)
        for room in [keys, values] where type == MARTLET_I8 {
            for block in 0..<cacheBlocks {
                let start = unsafe room.pointer + block * blockBytes
                for index in 0..<(kvHeads * size * 16) {
                    let value = Int8.random(in: -127...127, using: &generator)
                    unsafe start.storeBytes(of: value, toByteOffset: index, as: Int8.self)
                }
                for index in 0..<(kvHeads * 16) {
                    let scale = Float.random(in: 0.001...0.008, using: &generator)
                    let offset = kvHeads * size * 16 + index * 4
                    unsafe start.storeBytes(of: scale, toByteOffset: offset, as: Float.self)
                }
            }
        }
        for room in [keys, values] where type != MARTLET_I8 {
            for index in 0..<count {
                let x = Float.random(in: -1...1, using: &generator)
                let at = unsafe room.pointer + index * bytes
                switch type {
                case MARTLET_F32: unsafe at.storeBytes(of: x, as: Float.self)
                case MARTLET_F16: unsafe at.storeBytes(of: Float16(x).bitPattern, as: UInt16.self)
                default:
                    let bits = UInt16(truncatingIfNeeded: x.bitPattern >> 16)
                    unsafe at.storeBytes(of: bits, as: UInt16.self)
                }
            }
        }
        queries = Floats(random: row * heads * size, &generator)
    }

    private func withArgs(
        _ slices: [Int32], _ blocks: [Int32], _ output: Floats,
        _ body: (inout martlet_paged_args) -> Void
    ) {
        unsafe slices.withUnsafeBufferPointer { slices in
            unsafe blocks.withUnsafeBufferPointer { blocks in
                var args = unsafe martlet_paged_args(
                    n: Int64(rows), heads: Int64(heads), q: queries.pointer, o: output.pointer,
                    scale: 0.3, softcap: cap, window: Int64(window), slices: slices.baseAddress,
                    slice_count: Int64(slices.count / 4), blocks: blocks.baseAddress,
                    block_count: Int64(blocks.count),
                    cache: martlet_cache(
                        type: type, blocks: Int64(cacheBlocks), kv_heads: Int64(kvHeads),
                        head_size: Int64(size), keys: keys.pointer, values: values.pointer),
                    narrow: isNarrow ? 1 : 0)
                unsafe body(&args)
            }
        }
    }

    private func answer(_ slices: [Int32], isReference: Bool) -> [Float] {
        let output = Floats(repeating: 0, count: rows * heads * size)
        unsafe withArgs(slices, blocks, output) { args in
            if isReference {
                unsafe martlet_paged_attention_reference(&args)
            } else {
                let status = unsafe martlet_paged_attention(&args, 0)
                #expect(status == 0)
            }
        }
        #expect(output.fencesStand)
        return unsafe Array(
            UnsafeBufferPointer(start: output.pointer, count: rows * heads * size))
    }

    func run() -> [Float] { answer(slices, isReference: false) }
    func reference() -> [Float] { answer(slices, isReference: true) }

    /// Makes NaNs of the f16 keys and values at a position of the first sequence.
    func poison(position: Int) {
        let block = Int(blocks[Int(slices[3]) + position / 16]), place = position % 16
        for head in 0..<kvHeads {
            let base = (block * kvHeads + head) * size * 16
            for d in 0..<size {
                for (room, at) in [(keys, d * 16 + place), (values, place * size + d)] {
                    unsafe room.pointer.storeBytes(
                        of: Float16.nan.bitPattern, toByteOffset: (base + at) * 2, as: UInt16.self)
                }
            }
        }
    }

    /// Row `onlyRow` of the first sequence by itself.
    func run(onlyRow row: Int) -> [Float] {
        answer([Int32(row), 1, slices[2] + Int32(row), slices[3]], isReference: false)
    }

    /// What the kernel says with one field of the first slice, or the first block, changed.
    func status(field: Int? = nil, value: Int32 = 0, block: Int32? = nil) -> Int32 {
        var (slices, blocks) = (slices, blocks)
        if let field { slices[field] = value }
        if let block { blocks[Int(slices[3])] = block }
        let output = Floats(repeating: 0, count: rows * heads * size)
        var status: Int32 = 0
        unsafe withArgs(slices, blocks, output) { args in
            status = unsafe martlet_paged_attention(&args, 1)
        }
        return status
    }
}

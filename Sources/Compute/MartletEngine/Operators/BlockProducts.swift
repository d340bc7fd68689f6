// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

// Products with 4-bit weights that stay 4-bit in memory.
extension NativeOperator {
    static let blockMatMul = NativeOperator(.blockMatMul) { node in try lowerBlocks(node) }

    private static func lowerBlocks(_ node: Lowering) throws {
        let left = try node.input(0)
        let output = try node.output()
        try node.expectFloat32(left)
        let k = Int64(node.int("K"))
        let n = Int64(node.int("N"))
        let block = Int64(node.int("block_size"))
        guard k > 0, n > 0, block > 0, block <= 1 << 20, Int64(left.shape.last ?? 0) == k,
            Int64(output.shape.last ?? 0) == n
        else { throw node.failure("K, N or block_size", .invalidModel) }
        var epilogue = Epilogue()
        if let bias = node.optional(2) {
            guard bias.count == Int(n), bias.elementType == .float32 else {
                throw node.failure("a bias of \(bias.shape)", .invalidModel)
            }
            epilogue.bias = bias.slot
        }
        if let residual = node.optional(3) {
            guard residual.shape == output.shape, residual.elementType == .float32 else {
                throw node.failure("a residual of \(residual.shape)", .invalidModel)
            }
            epilogue.residual = residual.slot
            epilogue.residualStride = n
        }
        try epilogue.setActivation(FusedActivation(attributes: node.attributes))
        let m = Int64(output.count) / n
        try unsafe node.emit(
            blockProductStep,
            BlockProductArguments(
                left: left.slot, packed: packBlocks(node, k: k, n: n, block: block),
                output: output.slot,
                scratch: node.scratch(
                    byteCount: martlet_gemm_int4_scratch_bytes(m, n, k, node.threads)),
                m: m, n: n, k: k, block: block, epilogue: epilogue))
    }

    private static func packBlocks(
        _ node: Lowering, k: Int64, n: Int64, block: Int64
    ) throws -> Slot {
        let weights = try node.input(1)
        let isTransposed = node.int("transB", default: 1) != 0
        let blocks = (k + block - 1) / block
        // The last block of a column may be partly empty where columns fill whole blocks.
        let isBlocked = weights.elementType == .uint8
        let columnStride = isTransposed ? (isBlocked ? blocks * block : k) : 1
        let (count, overflow) = (isTransposed ? columnStride : k).multipliedReportingOverflow(by: n)
        guard !overflow, let matrix = weights.constant, Int64(matrix.byteCount) >= (count + 1) / 2,
            [.uint8, .int4, .uint4].contains(weights.elementType),
            let scales = try node.input(4).constant, scales.elementType == .float32,
            Int64(scales.elementCount) == blocks * n
        else { throw node.failure("weights or scales of another size", .invalidModel) }
        let zeros = node.optional(5)?.constant
        if node.optional(5) != nil {
            guard let zeros, zeros.elementType == .float32,
                zeros.elementCount == scales.elementCount
            else { throw node.failure("zero points of another size", .invalidModel) }
        }
        let isSigned: Int32 = weights.elementType == .int4 ? 1 : 0
        let threads = node.builder.threads
        // The same nibbles may stand elsewhere with other scales, or as another matrix.
        let parameters = try [node.input(4).value, node.optional(5)?.value].map { $0?.index ?? -1 }
        return try unsafe node.packed(
            weights, format: "int4-\(k)-\(n)-\(block)-\(isTransposed)-\(parameters)",
            byteCount: martlet_gemm_int4_pack_b_bytes(k, n, block)
        ) { tensor, target in
            var source = unsafe martlet_int4_source(
                b: tensor.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                is_signed: isSigned, row_stride: isTransposed ? 1 : n, column_stride: columnStride,
                k: k,
                n: n, block: block,
                scales: scales.bytes.baseAddress?.assumingMemoryBound(to: Float.self),
                zeros: zeros?.bytes.baseAddress?.assumingMemoryBound(to: Float.self),
                scale_row_stride: isTransposed ? 1 : n,
                scale_column_stride: isTransposed ? blocks : 1)
            unsafe martlet_gemm_int4_pack_b(&source, target, threads)
        }
    }
}

struct BlockProductArguments: BitwiseCopyable {
    var left: Slot
    var packed: Slot
    var output: Slot
    var scratch: Slot
    var m: Int64
    var n: Int64
    var k: Int64
    var block: Int64
    var epilogue: Epilogue
}

func blockProductStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: BlockProductArguments.self)
    let frame = unsafe StepFrame(frame)
    var gemm = unsafe martlet_gemm_f32_args(
        m: arguments.m, n: arguments.n, k: arguments.k, a: frame.floats(arguments.left),
        a_row_stride: arguments.k, packed_b: frame[arguments.packed],
        c: frame.floats(arguments.output), c_row_stride: arguments.n, alpha: 1,
        epilogue: arguments.epilogue.bound(to: frame))
    unsafe martlet_gemm_int4(
        &gemm, arguments.block, frame[arguments.scratch], frame.threads)
    return StepStatus.done
}

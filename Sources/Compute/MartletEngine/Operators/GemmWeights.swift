// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

/// A constant right side of [k, n] as the matrix kernels want it, in the precision asked for.
struct GemmWeights: BitwiseCopyable {
    /// Below this many weights a product gains nothing from narrow ones and keeps its precision.
    private static let narrowCountMin: Int64 = 4096

    let precision: EnginePrecision
    let k: Int64
    let n: Int64

    init(_ precision: EnginePrecision, k: Int64, n: Int64) {
        let (count, overflow) = k.multipliedReportingOverflow(by: n)
        let isSmall = !overflow && count < GemmWeights.narrowCountMin
        self.precision = isSmall || precision == .automatic ? .float32 : precision
        self.k = k
        self.n = n
    }

    /// The kernels' name of the precision; nil for f32.
    var narrowType: martlet_narrow? {
        switch precision {
        case .float32, .automatic: nil
        case .bfloat16: MARTLET_NARROW_BF16
        case .int8: MARTLET_NARROW_INT8
        }
    }

    private var byteCount: Int {
        if let narrowType { return martlet_gemm_narrow_pack_b_bytes(narrowType, k, n) }
        return martlet_gemm_f32_pack_b_bytes(k, n)
    }

    func scratchByteCount(_ m: Int64, threads: Int32) -> Int {
        if let narrowType {
            return martlet_gemm_narrow_scratch_bytes(narrowType, m, n, k, threads)
        }
        return martlet_gemm_f32_scratch_bytes(m, n, k, threads)
    }

    /// Packs the constant, once for all plans of a session.
    /// - Parameter isTransposed: whether it is stored [n, k].
    func pack(_ node: Lowering, _ right: Operand, isTransposed: Bool) throws -> Slot {
        let rowStride = isTransposed ? 1 : n
        let columnStride = isTransposed ? k : 1
        let threads = node.builder.threads
        return try unsafe node.packed(
            right, format: "gemm-\(isTransposed ? "nk" : "kn")-\(precision.rawValue)",
            byteCount: byteCount
        ) { tensor, target in
            guard let source = unsafe tensor.floatPointer else { return }
            if let narrowType {
                unsafe martlet_gemm_narrow_pack_b(
                    narrowType, source, rowStride, columnStride, k, n, target, threads)
                return
            }
            // Panels of 32 columns are independent of each other.
            let panelsPerPart = 4
            let panels = (Int(n) + 31) / 32
            let packing = unsafe PanelPacking(
                source: source, target: target.assumingMemoryBound(to: Float.self), k: k, n: n,
                rowStride: rowStride, columnStride: Int(columnStride),
                columnsPerPart: panelsPerPart * 32)
            KernelPool.parallel(
                parts: (panels + panelsPerPart - 1) / panelsPerPart,
                maximumThreads: Int(threads)
            ) { part in
                packing.pack(part: part)
            }
        }
    }
}

extension Lowering {
    /// The node's own precision where a choice was made for it, else what was asked for.
    var precision: EnginePrecision {
        attributes[EnginePrecision.attribute]?.string.flatMap(EnginePrecision.init(rawValue:))
            ?? builder.precision
    }
}

extension EnginePrecision {
    /// The attribute of products and convolutions that overrides what was asked for.
    package static let attribute = "precision"
}

/// Packs a matrix part by part.
// Sendable: the pointers outlive the packing, and parts write to disjoint panels.
@safe private struct PanelPacking: @unchecked Sendable {
    let source: UnsafePointer<Float>
    let target: UnsafeMutablePointer<Float>
    let k: Int64
    let n: Int64
    let rowStride: Int64
    let columnStride: Int
    let columnsPerPart: Int

    func pack(part: Int) {
        let first = part * columnsPerPart
        let columns = min(columnsPerPart, Int(n) - first)
        guard columns > 0 else { return }
        unsafe martlet_gemm_f32_pack_b(
            source + first * columnStride, rowStride, Int64(columnStride), k, Int64(columns),
            target + first * Int(k))
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import MartletTesting
internal import Testing

/// The kernels' suites: serial, because they force the level that the whole process uses.
@Suite("Kernels", .serialized)
enum KernelSuite {
    static let levels: [martlet_level] = [
        MARTLET_LEVEL_REFERENCE, MARTLET_LEVEL_AVX2, MARTLET_LEVEL_AVX512, MARTLET_LEVEL_NEON,
    ]

    /// Runs body at each level that this machine has, then goes back to the machine's own.
    static func withEachLevel(_ body: (martlet_level) throws -> Void) rethrows {
        let turn = KernelLevelTurn()
        defer { withExtendedLifetime(turn) {} }
        let own = martlet_kernels_level()
        defer { martlet_kernels_force(own) }
        for level in levels where martlet_kernels_force(level) == level {
            try body(level)
        }
    }
}

/// Floats between two fences that show writes out of bounds.
@safe final class Floats {
    private static let fence = 64
    private static let mark: Float = -1.2345e30
    private let base: UnsafeMutableRawPointer
    let count: Int

    var pointer: UnsafeMutablePointer<Float> {
        unsafe (base + Floats.fence * 4).assumingMemoryBound(to: Float.self)
    }

    init(repeating value: Float, count: Int) {
        self.count = count
        let all = count + 2 * Floats.fence
        unsafe base = .allocate(byteCount: all * 4, alignment: 64)
        let floats = unsafe base.bindMemory(to: Float.self, capacity: all)
        for index in 0..<all { unsafe floats[index] = Floats.mark }
        for index in 0..<count { unsafe pointer[index] = value }
    }

    convenience init(random count: Int, _ generator: inout SeededRandom) {
        self.init(repeating: 0, count: count)
        for index in 0..<count {
            unsafe pointer[index] = Float.random(in: -1...1, using: &generator)
        }
    }

    convenience init(_ values: [Float]) {
        self.init(repeating: 0, count: values.count)
        for (index, value) in values.enumerated() { unsafe pointer[index] = value }
    }

    deinit { unsafe base.deallocate() }

    var values: [Float] { (0..<count).map { unsafe pointer[$0] } }

    func copy() -> Floats { Floats(values) }

    subscript(index: Int) -> Float {
        get { unsafe pointer[index] }
        set { unsafe pointer[index] = newValue }
    }

    /// Whether nothing was written around the values.
    var fencesStand: Bool {
        (1...Floats.fence).allSatisfy {
            unsafe pointer[-$0] == Floats.mark && pointer[count - 1 + $0] == Floats.mark
        }
    }

    /// The largest difference to other, relative to 1 + |other|.
    func difference(to other: Floats) -> Float {
        var largest: Float = 0
        for index in 0..<min(count, other.count) {
            let difference = abs(self[index] - other[index]) / (1 + abs(other[index]))
            if !(difference <= largest) { largest = difference }
        }
        return largest
    }
}

/// Aligned room for packed weights and scratch.
@safe final class Room {
    let pointer: UnsafeMutableRawPointer

    init(bytes: Int) {
        unsafe pointer = .allocate(byteCount: max(bytes, 1), alignment: Int(MARTLET_ALIGNMENT))
    }

    deinit { unsafe pointer.deallocate() }
}

extension martlet_epilogue_f32 {
    /// An epilogue with the given activation, fit for values of about -1 ... 1.
    init(_ activation: martlet_activation, bias: Floats?, residual: Floats?, stride: Int) {
        unsafe self.init()
        unsafe self.bias = unsafe UnsafePointer(bias?.pointer)
        unsafe self.residual = unsafe UnsafePointer(residual?.pointer)
        unsafe self.residual_stride = Int64(stride)
        unsafe self.activation = activation
        unsafe self.minimum = activation == MARTLET_ACTIVATION_LEAKY_RELU ? 0.1 : -0.5
        unsafe self.maximum = 0.75
    }
}

/// All activations.
let activations: [martlet_activation] = (0...10).map { martlet_activation(rawValue: $0) }

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// What an automatic choice of precisions is measured with, and held to.
public struct PrecisionCalibration: Sendable {
    /// Sets of inputs in the signature's order; none takes seeded synthetic ones, and bf16 only.
    public var inputs: [[Tensor]]
    /// The most that an output may differ from f32's: ‖y - y₃₂‖ / ‖y₃₂‖ of the worst output.
    public var errorMax: Double
    public var allowsInt8: Bool

    public static let errorMaxDefault = 0.01

    public init(
        inputs: [[Tensor]] = [], errorMax: Double = PrecisionCalibration.errorMaxDefault,
        allowsInt8: Bool = true
    ) {
        self.inputs = inputs
        self.errorMax = errorMax
        self.allowsInt8 = allowsInt8
    }
}

/// How many of a model's products with constant weights run in which precision.
public struct PrecisionReport: Sendable, CustomStringConvertible {
    public var counts: [(precision: EnginePrecision, count: Int)]
    /// As measured; nil where nothing was.
    public var error: Double?
    public var errorMax: Double
    /// Why no choice could be made, or what it rests on.
    public var basis: String

    /// Products that do not run in f32.
    public var narrowCount: Int {
        counts.reduce(0) { $0 + ($1.precision == .float32 ? 0 : $1.count) }
    }

    public var description: String {
        let parts = counts.filter { $0.count > 0 }.map { "\($0.precision.rawValue) \($0.count)" }
        let measured = error.map { "error \(PrecisionReport.text($0)), " } ?? ""
        return "products in \(parts.isEmpty ? "f32" : parts.joined(separator: ", ")); "
            + "\(measured)bound \(PrecisionReport.text(errorMax)), \(basis)"
    }

    private static func text(_ number: Double) -> String {
        guard number.isFinite else { return "\(number)" }
        let millionths = Int((Swift.min(number, 1e9) * 1e6).rounded())
        return "\(Double(millionths) / 1e6)"
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a reader accepts. The defaults suit requests from strangers.
public struct JSONLimits: Sendable {
    /// What becomes of `\uD800` to `\uDFFF` escapes that form no pair.
    public enum LoneSurrogates: Sendable { case reject, replace }

    /// Containers inside containers; at most 1 024.
    public var depthMax: Int
    /// Bytes of one string as written.
    public var stringBytesMax: Int
    /// Bytes of one number as written.
    public var numberBytesMax: Int
    public var loneSurrogates: LoneSurrogates
    /// Accept `NaN`, `Infinity` and `-Infinity` where a number is read: no JSON, but what Python
    /// writes and Triton takes.
    public var acceptsNonFinite: Bool

    public static let depthCeiling = 1024

    public init(
        depthMax: Int = 128, stringBytesMax: Int = 64 << 20, numberBytesMax: Int = 1100,
        loneSurrogates: LoneSurrogates = .reject, acceptsNonFinite: Bool = false
    ) {
        self.depthMax = min(max(depthMax, 0), JSONLimits.depthCeiling)
        self.stringBytesMax = stringBytesMax
        self.numberBytesMax = numberBytesMax
        self.loneSurrogates = loneSurrogates
        self.acceptsNonFinite = acceptsNonFinite
    }
}

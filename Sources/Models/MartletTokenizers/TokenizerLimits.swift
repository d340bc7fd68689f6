// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Bounds on what a tokenizer reads; more is an error.
public struct TokenizerLimits: Sendable {
    /// The largest `tokenizer.json`.
    public var fileBytesMax: Int
    /// Tokens are numbered below this.
    public var vocabularySizeMax: Int
    /// The longest text that one call encodes.
    public var textBytesMax: Int
    /// The longest single token.
    public var tokenBytesMax: Int

    public init(
        fileBytesMax: Int = 256 << 20, vocabularySizeMax: Int = 4 << 20,
        textBytesMax: Int = 16 << 20, tokenBytesMax: Int = 4096
    ) {
        self.fileBytesMax = fileBytesMax
        self.vocabularySizeMax = vocabularySizeMax
        self.textBytesMax = textBytesMax
        self.tokenBytesMax = tokenBytesMax
    }
}

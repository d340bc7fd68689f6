// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How much of a message is taken before it is refused.
public struct HTTPLimits: Sendable {
    /// Bytes of the request line.
    public var requestLineBytesMax: Int
    /// Bytes of the head, request line and final empty line included.
    public var headerBytesMax: Int
    public var headerCountMax: Int
    /// Bytes of the body as transferred, framing not counted.
    public var bodyBytesMax: Int
    /// Bytes of a chunk's size line, extensions included.
    public var chunkLineBytesMax: Int
    /// Bytes of all trailer fields together.
    public var trailerBytesMax: Int

    public init(
        requestLineBytesMax: Int = 8 << 10, headerBytesMax: Int = 32 << 10,
        headerCountMax: Int = 100, bodyBytesMax: Int = 64 << 20, chunkLineBytesMax: Int = 256,
        trailerBytesMax: Int = 8 << 10
    ) {
        self.requestLineBytesMax = requestLineBytesMax
        self.headerBytesMax = headerBytesMax
        self.headerCountMax = headerCountMax
        self.bodyBytesMax = bodyBytesMax
        self.chunkLineBytesMax = chunkLineBytesMax
        self.trailerBytesMax = trailerBytesMax
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A response's status line and header fields.
public struct HTTPResponseHead: Sendable {
    /// Where the body ends.
    public enum Framing: Sendable, Equatable {
        /// There is none, whatever the fields say.
        case none
        /// After so many bytes.
        case length(Int)
        /// With the last chunk.
        case chunked
        /// When the peer closes the connection.
        case untilClose
    }

    public internal(set) var fields = HTTPFields()
    /// 100 to 599.
    public internal(set) var status = 0
    /// Where the reason phrase stands in `fields.bytes`; often empty.
    public internal(set) var reason: Range<Int> = 0..<0
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public internal(set) var minorVersion = 1
    public internal(set) var framing = Framing.none
    /// Another request may be sent on the connection once the body has ended.
    public internal(set) var keepsAlive = true

    init() {}

    /// Whether the final response is still to come.
    public var isInterim: Bool { status < 200 }
    public var reasonString: String { fields.string(reason) }
}

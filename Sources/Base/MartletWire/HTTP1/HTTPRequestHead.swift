// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The methods that Martlet's routes know; everything else is `other`.
public enum HTTPMethod: String, Sendable, Hashable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case options = "OPTIONS"
    case patch = "PATCH"
    case other = ""
}

/// A request's line and header fields.
public struct HTTPRequestHead: Sendable {
    public internal(set) var fields = HTTPFields()
    public internal(set) var method = HTTPMethod.other
    /// Where the target stands in `fields.bytes`, as written.
    public internal(set) var target: Range<Int> = 0..<0
    /// The target's path, as written, without a query.
    public internal(set) var path: Range<Int> = 0..<0
    /// What follows the first '?', as written; empty when there is none.
    public internal(set) var query: Range<Int> = 0..<0
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public internal(set) var minorVersion = 1
    /// The announced length; nil for a chunked body.
    public internal(set) var contentLength: Int? = 0
    /// The client waits for `100 Continue` before it sends the body.
    public internal(set) var expectsContinue = false
    /// Another request may follow on the connection.
    public internal(set) var keepsAlive = true

    init() {}

    public var pathString: String { fields.string(path) }
    public var targetString: String { fields.string(target) }
    public var isChunked: Bool { contentLength == nil }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// An answer. Its body begins with bytes that were written for it; tensors may follow, whose bytes
/// go to the socket from where they lie.
public struct HTTPResponse: Sendable {
    public enum BodyPart: Sendable {
        case bytes([UInt8])
        case tensor(Tensor)

        var byteCount: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .tensor(let tensor): tensor.byteCount
            }
        }
    }

    public struct Field: Sendable {
        public var name: StaticString
        public var value: String

        public init(_ name: StaticString, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public var status: Int
    /// nil sends no Content-Type.
    public var contentType: StaticString?
    public var fields: [Field]
    /// The body's first bytes.
    public var bytes: [UInt8]
    /// What follows them.
    public var parts: [BodyPart]
    /// Bytes of JSON before binary tensors, sent as `Inference-Header-Content-Length`.
    var jsonByteCount: Int?
    /// Compress as the client's Accept-Encoding asks.
    public var isCompressible: Bool

    public init(
        status: Int = 200, contentType: StaticString? = nil, fields: [Field] = [],
        bytes: [UInt8] = [], parts: [BodyPart] = [], isCompressible: Bool = false
    ) {
        self.status = status
        self.contentType = contentType
        self.fields = fields
        self.bytes = bytes
        self.parts = parts
        self.isCompressible = isCompressible
    }

    public static func json(_ bytes: [UInt8], status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, contentType: "application/json", bytes: bytes)
    }

    public static func text(_ text: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(
            status: status, contentType: "text/plain; charset=utf-8",
            bytes: Array(text.utf8))
    }

    /// An empty body under a status: what Triton's health routes answer.
    public static func empty(_ status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status)
    }

    /// Of the whole body.
    var byteCount: Int { parts.reduce(bytes.count) { $0 + $1.byteCount } }
}

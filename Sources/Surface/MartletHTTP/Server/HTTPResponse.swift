// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// An answer. Its body may hold tensors, whose bytes go to the socket from where they lie.
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
    public var body: [BodyPart]
    /// Compress as the client's Accept-Encoding asks.
    public var isCompressible: Bool

    public init(
        status: Int = 200, contentType: StaticString? = nil, fields: [Field] = [],
        body: [BodyPart] = [], isCompressible: Bool = false
    ) {
        self.status = status
        self.contentType = contentType
        self.fields = fields
        self.body = body
        self.isCompressible = isCompressible
    }

    public static func json(_ bytes: [UInt8], status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, contentType: "application/json", body: [.bytes(bytes)])
    }

    public static func text(_ text: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(
            status: status, contentType: "text/plain; charset=utf-8",
            body: [.bytes(Array(text.utf8))])
    }

    /// An empty body under a status: what Triton's health routes answer.
    public static func empty(_ status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status)
    }

    var byteCount: Int { body.reduce(0) { $0 + $1.byteCount } }
}

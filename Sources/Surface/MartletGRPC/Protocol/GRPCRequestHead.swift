// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletWire

/// How messages are compressed, by the names of `grpc-encoding`.
package enum MessageCoding: String, Sendable, Hashable, CaseIterable {
    case identity
    case gzip
    case deflate

    /// What this server understands, for `grpc-accept-encoding`.
    package static let supported = "identity,deflate,gzip"
}

/// What a request's header block says, checked.
package struct GRPCRequestHead: Sendable {
    /// "/package.Service/Method".
    package var path: String
    /// How the request's messages are compressed when their flag is set.
    package var coding: MessageCoding = .identity
    /// Whether the client reads messages compressed the way it compresses its own.
    package var acceptsOwnCoding = false
    package var timeout: Duration?
    package var requestID: String?
    /// Ask for a status instead of an error message inside Triton's response stream.
    package var wantsStreamStatus = false
    /// The whole block, for trace context.
    package var metadata: HTTP2Fields

    /// Why a header block is refused: before gRPC is spoken (an HTTP status), or by it.
    package enum Refusal: Error, Equatable {
        case http(status: String)
        case status(GRPCStatus)
    }

    /// Checks a header block.
    /// - Throws: `Refusal`, as the gRPC specification tells servers to answer.
    package init(_ headers: HTTP2Fields) throws(Refusal) {
        var fields = Fields()
        for index in 0..<headers.count { fields.take(headers, index) }
        guard fields.method == "POST" else { throw .http(status: "405") }
        guard GRPCRequestHead.isGRPC(fields.contentType) else { throw .http(status: "415") }
        guard let path = fields.path else {
            throw .status(GRPCStatus(.internal, "request without a :path"))
        }
        self.path = path
        metadata = headers
        requestID = fields.requestID
        wantsStreamStatus = fields.wantsStreamStatus
        if let name = fields.encoding {
            guard let coding = MessageCoding(rawValue: name) else {
                throw .status(
                    GRPCStatus(
                        .unimplemented,
                        "grpc-encoding '\(name)' is not supported, only "
                            + MessageCoding.supported))
            }
            self.coding = coding
        }
        acceptsOwnCoding =
            coding != .identity
            && GRPCRequestHead.list(fields.acceptEncoding, contains: coding.rawValue)
        if let text = fields.timeout {
            guard let timeout = GRPCTimeout.parse(text) else {
                throw .status(GRPCStatus(.internal, "malformed grpc-timeout '\(text)'"))
            }
            self.timeout = timeout
        }
    }

    private static func isGRPC(_ contentType: String?) -> Bool {
        guard let contentType, contentType.hasPrefix("application/grpc") else { return false }
        let rest = contentType.utf8.dropFirst("application/grpc".utf8.count)
        return rest.isEmpty || rest.first == UInt8(ascii: ";") || rest.elementsEqual("+proto".utf8)
            || rest.starts(with: "+proto;".utf8)
    }

    private static func list(_ values: String?, contains name: String) -> Bool {
        guard let values else { return false }
        return values.utf8.split(separator: UInt8(ascii: ",")).contains { item in
            let trimmed = item.drop { $0 == UInt8(ascii: " ") }
            return trimmed.prefix { $0 != UInt8(ascii: " ") }.elementsEqual(name.utf8)
        }
    }

    /// The fields that gRPC gives a meaning; the first of each counts.
    private struct Fields {
        var method: String?
        var path: String?
        var contentType: String?
        var encoding: String?
        var acceptEncoding: String?
        var timeout: String?
        var requestID: String?
        var wantsStreamStatus = false

        mutating func take(_ fields: HTTP2Fields, _ index: Int) {
            let name = fields.nameRange(index)
            switch name.count {
            case 5 where path == nil && fields.matches(name, ":path"):
                path = fields.value(index)
            case 7 where method == nil && fields.matches(name, ":method"):
                method = fields.value(index)
            case 12:
                if requestID == nil, fields.valueRange(index).count <= 128,
                    fields.matches(name, "x-request-id")
                {
                    requestID = fields.value(index)
                } else if contentType == nil, fields.matches(name, "content-type") {
                    contentType = fields.value(index)
                } else if timeout == nil, fields.matches(name, "grpc-timeout") {
                    timeout = fields.value(index)
                }
            case 13 where encoding == nil && fields.matches(name, "grpc-encoding"):
                encoding = fields.value(index)
            case 17 where fields.matches(name, "triton_grpc_error"):
                wantsStreamStatus = fields.matches(fields.valueRange(index), "true")
            case 20 where acceptEncoding == nil && fields.matches(name, "grpc-accept-encoding"):
                acceptEncoding = fields.value(index)
            default: break
            }
        }
    }
}

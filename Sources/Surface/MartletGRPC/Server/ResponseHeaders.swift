// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import NIOHPACK

/// The header blocks that a server sends.
enum ResponseHeaders {
    private static let plain: HPACKHeaders = [
        ":status": "200", "content-type": "application/grpc",
        "grpc-accept-encoding": MessageCoding.supported,
    ]
    private static let ok: HPACKHeaders = ["grpc-status": "0"]

    static func head(for request: GRPCRequestHead) -> HPACKHeaders {
        guard request.acceptsOwnCoding || request.requestID != nil else { return plain }
        var headers = plain
        if request.acceptsOwnCoding {
            headers.add(name: "grpc-encoding", value: request.coding.rawValue)
        }
        if let id = request.requestID { headers.add(name: "x-request-id", value: id) }
        return headers
    }

    static func trailers(_ status: GRPCStatus) -> HPACKHeaders {
        if status.code == .ok, status.message.isEmpty { return ok }
        return [
            "grpc-status": String(status.code.rawValue), "grpc-message": status.encodedMessage,
        ]
    }

    static func trailersOnly(_ status: GRPCStatus, requestID: String?) -> HPACKHeaders {
        var headers: HPACKHeaders = [
            ":status": "200", "content-type": "application/grpc",
            "grpc-status": String(status.code.rawValue), "grpc-message": status.encodedMessage,
        ]
        if let requestID { headers.add(name: "x-request-id", value: requestID) }
        return headers
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire

/// What a connection has to know of a request's head: found out once, and kept while the heads that
/// follow are the same.
struct RoutedHead {
    let match: Router.Match
    /// The client's `X-Request-Id`, when it is short and plain.
    let requestID: String?
    /// How the client likes answers compressed.
    let coding: ContentCoding
    /// The request's body is compressed, or says so.
    let isPacked: Bool
    /// `Inference-Header-Content-Length`, when it is a number: bytes of JSON before binary tensors.
    let jsonByteCount: Int?

    init(_ head: HTTPRequestHead, _ router: Router) {
        let fields = head.fields
        match = router.match(head)
        requestID = fields.range(of: "x-request-id").flatMap { range in
            let isPlain =
                (1...128).contains(range.count)
                && fields.bytes[range].allSatisfy { $0 > 0x20 && $0 < 0x7F }
            return isPlain ? fields.string(range) : nil
        }
        coding = fields["accept-encoding"].map { ContentCoding(acceptEncoding: $0) } ?? .identity
        isPacked = fields.range(of: "content-encoding") != nil
        jsonByteCount = fields.range(of: "inference-header-content-length")
            .flatMap { fields.decimal($0) }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension HTTPResponseHead {
    /// Decides where the body ends (RFC 9112 §6.3), and refuses every head that two readers could
    /// understand differently: a response that one takes for two is how answers get to the wrong
    /// client.
    mutating func settle(answering method: HTTPMethod, limits: HTTPLimits) throws(WireError) {
        keepsAlive =
            minorVersion == 1
            ? !fields.lists(.connection, "close")
            : fields.lists(.connection, "keep-alive") && !fields.lists(.connection, "close")
        let codings = fields.occurrences(.transferEncoding)
        let length = try announcedLength()
        if codings > 0 {
            guard length == nil else {
                throw WireError(
                    .malformed, "both Content-Length and Transfer-Encoding are given")
            }
            try checkTransferCoding(occurrences: codings)
        }
        if isInterim || status == 204 {
            guard codings == 0, length ?? 0 == 0 else {
                throw WireError(.malformed, "a response of status \(status) announces a body")
            }
            framing = .none
        } else if method == .head || status == 304 {
            framing = .none
        } else if codings > 0 {
            framing = .chunked
        } else if let length {
            guard length <= limits.bodyBytesMax else {
                throw WireError(
                    .limitExceeded,
                    "a body of \(length) bytes; at most \(limits.bodyBytesMax) are accepted")
            }
            framing = .length(length)
        } else {
            framing = .untilClose
            keepsAlive = false
        }
    }

    private func announcedLength() throws(WireError) -> Int? {
        guard let range = fields.range(.contentLength) else { return nil }
        let count = fields.occurrences(.contentLength)
        guard count == 1 else {
            throw WireError(.malformed, "Content-Length is given \(count) times")
        }
        guard let length = fields.decimal(range) else {
            throw WireError(.malformed, "Content-Length is no number")
        }
        return length
    }

    private func checkTransferCoding(occurrences: Int) throws(WireError) {
        guard minorVersion == 1 else {
            throw WireError(.malformed, "HTTP/1.0 has no Transfer-Encoding")
        }
        guard occurrences == 1, let range = fields.range(.transferEncoding),
            fields.matches(range, "chunked")
        else {
            throw WireError(.unsupported, "the only Transfer-Encoding known here is chunked")
        }
    }
}

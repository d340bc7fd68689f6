// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension HTTPRequestHead {
    /// Decides from the fields how long the body is, and refuses every head that two readers could
    /// understand differently (RFC 9112 §6, §11.2).
    mutating func settle(limits: HTTPLimits) throws(WireError) {
        try checkHost()
        let lengths = fields.occurrences(.contentLength)
        let codings = fields.occurrences(.transferEncoding)
        contentLength = 0
        if codings > 0 {
            guard lengths == 0 else {
                throw WireError(
                    .malformed, "both Content-Length and Transfer-Encoding are given")
            }
            try checkTransferCoding(occurrences: codings)
            contentLength = nil
        } else if lengths > 0, let range = fields.range(.contentLength) {
            guard lengths == 1 else {
                throw WireError(.malformed, "Content-Length is given \(lengths) times")
            }
            guard let length = fields.decimal(range) else {
                throw WireError(.malformed, "Content-Length is no number")
            }
            guard length <= limits.bodyBytesMax else {
                throw WireError(
                    .limitExceeded, status: 413,
                    "a body of \(length) bytes; at most \(limits.bodyBytesMax) are accepted")
            }
            contentLength = length
        }
        try settleConnection()
    }

    private func checkHost() throws(WireError) {
        let count = fields.occurrences(.host)
        guard count == 1 || (count == 0 && minorVersion == 0) else {
            throw WireError(
                .malformed, count == 0 ? "the Host header is missing" : "Host is given twice")
        }
        guard let host = fields.range(.host) else { return }
        for place in host where !ByteClass.isHost(fields.bytes[place]) {
            throw WireError(.malformed, "the Host header names no host")
        }
        if let authority = targetAuthority,
            fields.string(authority).lowercased() != fields.string(host).lowercased()
        {
            throw WireError(.malformed, "the request target and Host name different hosts")
        }
    }

    private func checkTransferCoding(occurrences: Int) throws(WireError) {
        guard minorVersion == 1 else {
            throw WireError(.malformed, "HTTP/1.0 has no Transfer-Encoding")
        }
        guard occurrences == 1, let range = fields.range(.transferEncoding),
            fields.matches(range, "chunked")
        else {
            throw WireError(
                .unsupported, status: 501, "the only Transfer-Encoding known here is chunked")
        }
    }

    private mutating func settleConnection() throws(WireError) {
        if minorVersion == 1 {
            keepsAlive = !fields.lists(.connection, "close")
        } else {
            keepsAlive =
                fields.lists(.connection, "keep-alive") && !fields.lists(.connection, "close")
        }
        expectsContinue = false
        guard let expectation = fields.range(.expect), minorVersion == 1 else { return }
        guard fields.matches(expectation, "100-continue") else {
            throw WireError(.unsupported, status: 417, "the only expectation met is 100-continue")
        }
        expectsContinue = contentLength != 0
    }
}

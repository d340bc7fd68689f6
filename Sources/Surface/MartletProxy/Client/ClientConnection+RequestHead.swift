// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire

/// Another name for the model, in the body (where `range` says) or in the path.
struct ModelRenaming {
    let name: String
    /// The new name as JSON.
    let quoted: [UInt8]
    let range: Range<Int>?
    /// It stands in each message of a gRPC call.
    let isInMessages: Bool

    init(to name: String, range: Range<Int>?, isInMessages: Bool = false) {
        self.name = name
        self.range = range
        self.isInMessages = isInMessages
        quoted = JSONText.quoted(name)
    }
}

/// Writes the head of a request as the upstream gets it.
extension ClientConnection {
    /// - Parameter isCompared: the answer is to be read here.
    /// - Returns: whether the body goes in chunks: its length is not known.
    func composeHead(
        _ head: borrowing HTTPRequestHead, _ identity: UpstreamIdentity, _ rename: ModelRenaming?,
        isCompared: Bool, deadline: Deadline, at now: MonotonicInstant,
        into bytes: inout WireBuffer
    ) -> Bool {
        let source = head.fields.bytes
        appendLine(head, source, identity, rename, &bytes)
        bytes.append(contentsOf: identity.hostLine)
        let ownsKeys = exchange.runtime?.access.requiresKey ?? false
        let kinds = head.fields.appendForwarded(
            to: &bytes, keepsAuthorization: !ownsKeys && !identity.ownsKey,
            isRequest: true)
        if let line = identity.credentialLine { bytes.append(contentsOf: line) }
        if identity.dialect == .openai || isCompared {
            // What is compressed cannot be counted, kept for others or compared.
            bytes.append("Accept-Encoding: identity\r\nX-Forwarded-For: ")
        } else {
            if let given = kinds.acceptEncoding {
                bytes.append("Accept-Encoding: ")
                bytes.append(given, of: source)
                bytes.append("\r\n")
            }
            bytes.append("X-Forwarded-For: ")
        }
        if let before = kinds.forwardedFor {
            bytes.append(before, of: source)
            bytes.append(", ")
        }
        bytes.append(contentsOf: address)
        if isEncrypted {
            bytes.append("\r\nX-Forwarded-Proto: https")
        } else {
            bytes.append("\r\nX-Forwarded-Proto: http")
        }
        if let host = kinds.host {
            bytes.append("\r\nX-Forwarded-Host: ")
            bytes.append(host, of: source)
        }
        bytes.append("\r\nX-Request-Id: ")
        if let given = exchange.givenID {
            bytes.append(given, of: source)
        } else {
            bytes.append(hexadecimal: exchange.requestID)
        }
        // The client's trace goes on; without one, one begins here.
        bytes.append("\r\ntraceparent: ")
        trace(kinds.traceParent, source).append(to: &bytes)
        if let left = deadline.remaining(at: now) {
            appendTimeout(left, &bytes)
        }
        let isChunked = appendFraming(head, rename, &bytes)
        bytes.append("\r\n\r\n")
        return isChunked
    }

    private func appendLine(
        _ head: borrowing HTTPRequestHead, _ source: [UInt8], _ identity: UpstreamIdentity,
        _ rename: ModelRenaming?, _ bytes: inout WireBuffer
    ) {
        if head.method == .post {
            bytes.append("POST ")
        } else {
            for byte in source {
                bytes.append(byte)
                if byte == 0x20 { break }
            }
        }
        bytes.append(contentsOf: identity.pathPrefix)
        let target = head.forwardedTarget
        if let rename, rename.range == nil, !rename.isInMessages,
            let name = exchange.modelName
        {
            let start = target.lowerBound + "/v2/models/".utf8.count
            bytes.append(target.lowerBound..<start, of: source)
            bytes.append(text: rename.name)
            bytes.append((start + name.utf8.count)..<target.upperBound, of: source)
        } else {
            bytes.append(target, of: source)
        }
        bytes.append(" HTTP/1.1\r\n")
    }

    private func appendTimeout(_ left: Duration, _ bytes: inout WireBuffer) {
        if exchange.isGRPC {
            bytes.append("\r\ngrpc-timeout: ")
            bytes.append(text: GRPCTimeout.text(max(left, .microseconds(1))))
            return
        }
        bytes.append("\r\nX-Request-Timeout: ")
        bytes.append(decimal: Int(max(left.nanosecondsSaturating / 1_000_000, 1)))
        bytes.append("ms")
    }

    /// Decides whether an upstream is asked for what a stream uses.
    func takeUsageQuestion(for identity: UpstreamIdentity) {
        if exchange.usageQuestion != nil { exchange.usageQuestion = nil }
        guard exchange.hasStream, exchange.isBodyComplete, exchange.isReplayable,
            identity.asksUsage,
            TokenRoute(path: knownPath) == .completions
        else { return }
        exchange.usageQuestion = exchange.members.usageQuestion
    }

    /// Appends the whole body, with another name for the model and the question for the usage.
    func appendBody(_ rename: ModelRenaming?, to bytes: inout WireBuffer) {
        var first = rename.flatMap { rename in
            rename.range.map { BodyEdit(range: $0, text: rename.quoted) }
        }
        var second = exchange.usageQuestion
        if let one = first, let other = second, other.range.lowerBound < one.range.lowerBound {
            swap(&first, &second)
        }
        var place = 0
        for edit in [first, second] {
            guard let edit else { continue }
            bytes.append(place..<edit.range.lowerBound, of: exchange.body)
            bytes.append(contentsOf: edit.text)
            place = edit.range.upperBound
        }
        bytes.append(place..<exchange.body.count, of: exchange.body)
    }

    private func appendFraming(
        _ head: borrowing HTTPRequestHead, _ rename: ModelRenaming?, _ bytes: inout WireBuffer
    ) -> Bool {
        var length =
            exchange.isBodyComplete ? exchange.bodyBytes : head.contentLength
        if let rename, rename.isInMessages { length = nil }
        if let known = length, let rename, let range = rename.range {
            length = known + rename.quoted.count - range.count
        }
        if let known = length, let question = exchange.usageQuestion {
            length = known + question.growth
        }
        guard let length else {
            bytes.append("\r\nTransfer-Encoding: chunked")
            return true
        }
        let isNeeded =
            length > 0 || head.method == .post || head.method == .put || head.method == .patch
        guard isNeeded else { return false }
        bytes.append("\r\nContent-Length: ")
        bytes.append(decimal: length)
        return false
    }
}

/// JSON's way to write a text.
private enum JSONText {
    static func quoted(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        return bytes + [UInt8(ascii: "\"")]
    }
}

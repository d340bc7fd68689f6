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
struct RequestHeadComposer {
    private let client: ClientConnection
    private let identity: UpstreamIdentity
    private let rename: ModelRenaming?
    private let now: MonotonicInstant
    private let deadline: Deadline
    /// The body goes in chunks: its length is not known.
    private(set) var isChunked = false

    init(
        _ client: ClientConnection, _ identity: UpstreamIdentity, _ rename: ModelRenaming?,
        deadline: Deadline, at now: MonotonicInstant
    ) {
        self.client = client
        self.identity = identity
        self.rename = rename
        self.now = now
        self.deadline = deadline
    }

    mutating func compose(into bytes: inout [UInt8]) {
        let head = client.parser.head
        let source = head.fields.bytes
        appendLine(head, source, &bytes)
        bytes.append(contentsOf: identity.hostLine)
        let ownsKeys = client.exchange.runtime?.access.requiresKey ?? false
        let kinds = head.fields.appendForwarded(
            to: &bytes, keepsAuthorization: !ownsKeys && identity.credentialLine == nil,
            isRequest: true)
        if let line = identity.credentialLine { bytes.append(contentsOf: line) }
        append("X-Forwarded-For: ", to: &bytes)
        if let before = kinds.forwardedFor {
            bytes.append(contentsOf: source[before])
            append(", ", to: &bytes)
        }
        bytes.append(contentsOf: client.address)
        append(
            client.isEncrypted ? "\r\nX-Forwarded-Proto: https" : "\r\nX-Forwarded-Proto: http",
            to: &bytes)
        if let host = kinds.host {
            append("\r\nX-Forwarded-Host: ", to: &bytes)
            bytes.append(contentsOf: source[host])
        }
        append("\r\nX-Request-Id: ", to: &bytes)
        if let given = kinds.requestID {
            bytes.append(contentsOf: source[given])
        } else {
            TraceContext.append(client.exchange.requestID, to: &bytes)
        }
        appendTrace(kinds.traceParent, source, &bytes)
        if let left = deadline.remaining(at: now) {
            appendTimeout(left, &bytes)
        }
        appendFraming(head, &bytes)
        append("\r\n\r\n", to: &bytes)
    }

    private func appendLine(
        _ head: HTTPRequestHead, _ source: [UInt8], _ bytes: inout [UInt8]
    ) {
        for byte in source {
            bytes.append(byte)
            if byte == 0x20 { break }
        }
        bytes.append(contentsOf: identity.pathPrefix)
        let target = head.forwardedTarget
        if let rename, rename.range == nil, !rename.isInMessages,
            let name = client.exchange.modelName
        {
            let start = target.lowerBound + "/v2/models/".utf8.count
            bytes.append(contentsOf: source[target.lowerBound..<start])
            bytes.append(contentsOf: rename.name.utf8)
            bytes.append(contentsOf: source[(start + name.utf8.count)..<target.upperBound])
        } else {
            bytes.append(contentsOf: source[target])
        }
        append(" HTTP/1.1\r\n", to: &bytes)
    }

    private func appendTimeout(_ left: Duration, _ bytes: inout [UInt8]) {
        if client.exchange.isGRPC {
            append("\r\ngrpc-timeout: ", to: &bytes)
            bytes.append(contentsOf: GRPCTimeout.text(max(left, .microseconds(1))).utf8)
            return
        }
        append("\r\nX-Request-Timeout: ", to: &bytes)
        bytes.append(contentsOf: String(max(left.nanosecondsSaturating / 1_000_000, 1)).utf8)
        append("ms", to: &bytes)
    }

    /// The client's trace goes on; without one, one begins here.
    private func appendTrace(
        _ given: Range<Int>?, _ source: [UInt8], _ bytes: inout [UInt8]
    ) {
        append("\r\ntraceparent: ", to: &bytes)
        client.trace(given.map { source[$0] }).append(to: &bytes)
    }

    private mutating func appendFraming(_ head: HTTPRequestHead, _ bytes: inout [UInt8]) {
        var length =
            client.exchange.isBodyComplete ? client.exchange.bodyBytes : head.contentLength
        if let rename, rename.isInMessages { length = nil }
        if let known = length, let rename, let range = rename.range {
            length = known + rename.quoted.count - range.count
        }
        guard let length else {
            isChunked = true
            append("\r\nTransfer-Encoding: chunked", to: &bytes)
            return
        }
        let isNeeded =
            length > 0 || head.method == .post || head.method == .put || head.method == .patch
        guard isNeeded else { return }
        append("\r\nContent-Length: ", to: &bytes)
        bytes.append(contentsOf: String(length).utf8)
    }

    private func append(_ text: StaticString, to bytes: inout [UInt8]) {
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
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

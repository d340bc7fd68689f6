// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Which of the fields that a proxy writes itself a message had.
package struct ForwardedKinds: Sendable, Hashable {
    package var authorization: Range<Int>?
    package var forwardedFor: Range<Int>?
    package var requestID: Range<Int>?
    package var traceParent: Range<Int>?
    package var timeout: Range<Int>?
    package var host: Range<Int>?
    package var acceptEncoding: Range<Int>?

    package init() {}
}

extension HTTPFields {
    /// Appends every line that a proxy passes on as it is (RFC 9110 §7.6.1): without what concerns
    /// one hop, framing, and the fields that the proxy writes itself.
    ///
    /// Those are told of in the result, by where their values stand in `bytes`. One pass; nothing
    /// is allocated unless `Connection` names fields.
    package func appendForwarded(
        to target: inout WireBuffer, keepsAuthorization: Bool, isRequest: Bool
    ) -> ForwardedKinds {
        var kinds = ForwardedKinds()
        let named = has(.connection) ? namedByConnection() : []
        unsafe bytes.withUnsafeBytes { source in
            for field in fields {
                if isRequest {
                    switch field.kind {
                    case .host:
                        kinds.host = field.value
                        continue
                    case .authorization, .apiKey:
                        kinds.authorization = field.value
                        guard keepsAuthorization else { continue }
                    case .forwardedFor:
                        kinds.forwardedFor = field.value
                        continue
                    case .traceParent:
                        kinds.traceParent = field.value
                        continue
                    case .grpcTimeout, .requestTimeout:
                        kinds.timeout = field.value
                        continue
                    case .acceptEncoding:
                        kinds.acceptEncoding = field.value
                        continue
                    case .forwardedHost, .forwardedProto, .expect: continue
                    default: break
                    }
                }
                switch field.kind {
                case .contentLength, .transferEncoding, .connection, .keepAlive, .te, .upgrade,
                    .trailer, .proxyConnection, .proxyAuthenticate, .proxyAuthorization:
                    continue
                case .requestID:
                    kinds.requestID = field.value
                    continue
                case .authorization where isRequest, .apiKey where isRequest: break
                default:
                    guard named.isEmpty || !named.contains(where: { equals($0, field.name) })
                    else { continue }
                }
                unsafe target.append(
                    contentsOf: UnsafeRawBufferPointer(
                        rebasing: source[field.name.lowerBound..<field.value.upperBound]))
                target.append("\r\n")
            }
        }
        return kinds
    }

    package func appendForwarded(
        to target: inout [UInt8], keepsAuthorization: Bool, isRequest: Bool
    ) -> ForwardedKinds {
        var lines = WireBuffer()
        let kinds = appendForwarded(
            to: &lines, keepsAuthorization: keepsAuthorization, isRequest: isRequest)
        unsafe target.append(contentsOf: lines.bytes)
        return kinds
    }

    /// The fields that `Connection` names.
    private func namedByConnection() -> [Range<Int>] {
        var named: [Range<Int>] = []
        for field in fields where field.kind == .connection {
            for element in elements(field.value)
            where !matches(element, "close") && !matches(element, "keep-alive") {
                named.append(element)
            }
        }
        return named
    }

    private func equals(_ one: Range<Int>, _ other: Range<Int>) -> Bool {
        guard one.count == other.count else { return false }
        for offset in 0..<one.count
        where lowercased(bytes[one.lowerBound + offset])
            != lowercased(bytes[other.lowerBound + offset])
        {
            return false
        }
        return true
    }
}

extension HTTPRequestHead {
    /// Path and query in origin form, as they are passed on.
    package var forwardedTarget: Range<Int> { path.lowerBound..<target.upperBound }
}

extension HTTPFields {
    /// Where the first field of that name (given in lower case) has its value in `bytes`.
    package func range(named name: [UInt8]) -> Range<Int>? {
        guard let last = name.last else { return nil }
        for field in fields
        where field.name.count == name.count
            && lowercased(bytes[field.name.upperBound - 1]) == last
        {
            let isSame = unsafe bytes.withUnsafeBytes { mine in
                unsafe name.withUnsafeBytes { name in
                    unsafe isLowercase(
                        WireBytes(UnsafeRawBufferPointer(rebasing: mine[field.name])),
                        WireBytes(name))
                }
            }
            if isSame { return field.value }
        }
        return nil
    }

    /// The first value of that name (given in lower case).
    package func value(named name: [UInt8]) -> String? { range(named: name).map { string($0) } }
}

extension HTTPFields {
    /// Whether the message's body is compressed (RFC 9110 §8.4).
    package var isCoded: Bool {
        guard let coding = range(.contentEncoding) else { return false }
        return coding.count > 0 && !matches(coding, "identity")
    }
}

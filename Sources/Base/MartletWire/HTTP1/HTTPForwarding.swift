// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a proxy does with a field of a message that it passes on.
enum ForwardedField {
    /// Meant for the next hop only, or about this hop's framing: never passed on.
    case hop
    /// Passed on as it is.
    case passed
    /// Names the fields that are for this hop only.
    case connection
    case host, contentLength, authorization, forwardedFor, requestID, traceParent, timeout
    case forwardedOther
}

/// Which of the fields that a proxy writes itself a message had.
package struct ForwardedKinds: Sendable, Hashable {
    package var authorization: Range<Int>?
    package var forwardedFor: Range<Int>?
    package var requestID: Range<Int>?
    package var traceParent: Range<Int>?
    package var timeout: Range<Int>?
    package var host: Range<Int>?

    package init() {}
}

extension HTTPFields {
    /// Appends every line that a proxy passes on as it is (RFC 9110 §7.6.1): without what concerns
    /// one hop, framing, and the fields that the proxy writes itself.
    ///
    /// Those are told of in the result, by where their values stand in `bytes`. One pass; nothing
    /// is allocated unless `Connection` names fields.
    package func appendForwarded(
        to target: inout [UInt8], keepsAuthorization: Bool, isRequest: Bool
    ) -> ForwardedKinds {
        var kinds = ForwardedKinds()
        var named: [Range<Int>] = []
        for field in fields where matches(field.name, "connection") {
            for element in elements(field.value)
            where !matches(element, "close") && !matches(element, "keep-alive") {
                named.append(element)
            }
        }
        for field in fields {
            switch kind(of: field.name, isRequest: isRequest) {
            case .hop, .connection, .contentLength: continue
            case .host: kinds.host = field.value
            case .authorization:
                kinds.authorization = field.value
                guard keepsAuthorization else { continue }
                appendLine(field, to: &target)
            case .forwardedFor: kinds.forwardedFor = field.value
            case .requestID: kinds.requestID = field.value
            case .traceParent: kinds.traceParent = field.value
            case .timeout: kinds.timeout = field.value
            case .forwardedOther: continue
            case .passed:
                guard named.isEmpty || !named.contains(where: { equals($0, field.name) })
                else { continue }
                appendLine(field, to: &target)
            }
        }
        return kinds
    }

    private func appendLine(_ field: Field, to target: inout [UInt8]) {
        target.append(contentsOf: bytes[field.name.lowerBound..<field.value.upperBound])
        target.append(0x0D)
        target.append(0x0A)
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

    /// Goes by length first: most fields are settled without looking at a byte.
    private func kind(of name: Range<Int>, isRequest: Bool) -> ForwardedField {
        switch name.count {
        case 2: return matches(name, "te") ? .hop : .passed
        case 4: return isRequest && matches(name, "host") ? .host : .passed
        case 6: return isRequest && matches(name, "expect") ? .hop : .passed
        case 7:
            if matches(name, "upgrade") || matches(name, "trailer") { return .hop }
            return .passed
        case 9: return isRequest && matches(name, "x-api-key") ? .authorization : .passed
        case 10:
            if matches(name, "connection") { return .connection }
            return matches(name, "keep-alive") ? .hop : .passed
        case 11: return isRequest && matches(name, "traceparent") ? .traceParent : .passed
        case 12:
            if isRequest, matches(name, "grpc-timeout") { return .timeout }
            return matches(name, "x-request-id") ? .requestID : .passed
        case 13: return isRequest && matches(name, "authorization") ? .authorization : .passed
        case 14: return matches(name, "content-length") ? .contentLength : .passed
        case 15:
            if !isRequest { return .passed }
            return matches(name, "x-forwarded-for") ? .forwardedFor : .passed
        case 16:
            if matches(name, "proxy-connection") { return .hop }
            return isRequest && matches(name, "x-forwarded-host") ? .forwardedOther : .passed
        case 17:
            if matches(name, "transfer-encoding") { return .hop }
            if isRequest, matches(name, "x-request-timeout") { return .timeout }
            return isRequest && matches(name, "x-forwarded-proto") ? .forwardedOther : .passed
        case 18: return matches(name, "proxy-authenticate") ? .hop : .passed
        case 19: return matches(name, "proxy-authorization") ? .hop : .passed
        default: return .passed
        }
    }
}

extension HTTPRequestHead {
    /// Path and query in origin form, as they are passed on.
    package var forwardedTarget: Range<Int> { path.lowerBound..<target.upperBound }
}

extension HTTPFields {
    /// Where the first field of that name (given in lower case) has its value in `bytes`.
    package func range(named name: [UInt8]) -> Range<Int>? {
        for field in fields where field.name.count == name.count {
            var isSame = true
            for offset in 0..<name.count
            where lowercased(bytes[field.name.lowerBound + offset]) != name[offset] {
                isSame = false
                break
            }
            if isSame { return field.value }
        }
        return nil
    }
}

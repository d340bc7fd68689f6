// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Something about a request that rules can ask for and splits can go by.
package enum Attribute: Sendable, Hashable, CustomStringConvertible {
    case method, path, tenant, region, device, user, session, key, request
    /// A header by its lower-case name.
    case header(String)
    /// A query parameter.
    case query(String)
    /// A member of the JSON body by its dotted path; numbers index lists: `messages.0.role`.
    case field(String)

    private static let plain: [(String, Attribute)] = [
        ("method", .method), ("path", .path), ("tenant", .tenant), ("region", .region),
        ("device", .device), ("user", .user), ("session", .session), ("key", .key),
        ("request", .request),
    ]

    /// What `by:` may say, for messages.
    package static let forms =
        "user, session, key, tenant, region, device, request, header:NAME, query:NAME or "
        + "field:PATH"

    /// Reads `user`, `header:x-session`, `query:q`, `field:metadata.user`.
    package init?(_ text: String) {
        if let known = Attribute.plain.first(where: { $0.0 == text }) {
            self = known.1
            return
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        switch parts[0] {
        case "header": self = .header(parts[1].lowercased())
        case "query": self = .query(String(parts[1]))
        case "field": self = .field(String(parts[1]))
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .header(let name): "header \(name)"
        case .query(let name): "query \(name)"
        case .field(let path): "field \(path)"
        default: Attribute.plain.first { $0.1 == self }?.0 ?? ""
        }
    }
}

/// What a value must be.
package enum ValueTest: Sendable, Hashable, CustomStringConvertible {
    case equals(String)
    case anyOf(Set<String>)
    case prefix(String)
    case present
    case absent

    /// `abc` is itself, `abc*` begins so, `*` is anything.
    package init(pattern: String) {
        if pattern == "*" {
            self = .present
        } else if pattern.hasSuffix("*") {
            self = .prefix(String(pattern.dropLast()))
        } else {
            self = .equals(pattern)
        }
    }

    package func holds(_ value: String?) -> Bool {
        switch self {
        case .equals(let wanted): value == wanted
        case .anyOf(let wanted): value.map { wanted.contains($0) } ?? false
        case .prefix(let start): value?.hasPrefix(start) ?? false
        case .present: value != nil
        case .absent: value == nil
        }
    }

    package var description: String {
        switch self {
        case .equals(let wanted): "'\(wanted)'"
        case .anyOf(let wanted):
            "one of " + wanted.sorted().map { "'\($0)'" }.joined(separator: ", ")
        case .prefix(let start): "'\(start)…'"
        case .present: "anything"
        case .absent: "nothing"
        }
    }
}

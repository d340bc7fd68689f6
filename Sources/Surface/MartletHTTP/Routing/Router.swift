// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletWire

/// Answers one request, now or later, from any thread. Runs on the connection's event loop and
/// must not block it.
public typealias HTTPHandler = @Sendable (HTTPRequest, HTTPResponder) -> Void

/// One method on one pattern.
final class Route: Sendable {
    /// As registered: the label of its metrics.
    let pattern: String
    let parameterNames: [String]
    let handler: HTTPHandler
    let metrics: RouteMetrics

    init(pattern: String, parameterNames: [String], handler: @escaping HTTPHandler) {
        self.pattern = pattern
        self.parameterNames = parameterNames
        self.handler = handler
        metrics = RouteMetrics(route: pattern)
    }
}

/// Which handler answers which method and path: a tree of path segments, compared as bytes.
///
/// A segment written `:name` stands for any; a literal segment wins over it. HEAD is answered as
/// GET without a body. Cost of a look-up: one comparison per literal sibling of each segment.
public struct Router: Sendable {
    private struct Node {
        var literals: [(segment: [UInt8], node: Int)] = []
        var wildcard: Int?
        var routes: [(method: HTTPMethod, route: Route)] = []
    }

    enum Match {
        case found(Route, parameters: [Range<Int>])
        /// The methods that the path has.
        case methodNotAllowed(allowed: String)
        case notFound
    }

    private static let segmentCountMax = 32
    private var nodes = [Node()]

    public init() {}

    /// Registers a handler. A second one for the same method and pattern replaces the first.
    public mutating func on(
        _ method: HTTPMethod, _ pattern: String, _ handler: @escaping HTTPHandler
    ) {
        var place = 0
        var names: [String] = []
        for segment in pattern.split(separator: "/") {
            if segment.hasPrefix(":") {
                names.append(String(segment.dropFirst()))
                place = child(of: place, literal: nil)
            } else {
                place = child(of: place, literal: Array(segment.utf8))
            }
        }
        let route = Route(pattern: pattern, parameterNames: names, handler: handler)
        nodes[place].routes.removeAll { $0.method == method }
        nodes[place].routes.append((method, route))
    }

    private mutating func child(of place: Int, literal: [UInt8]?) -> Int {
        if let literal {
            if let known = nodes[place].literals.first(where: { $0.segment == literal }) {
                return known.node
            }
            nodes[place].literals.append((literal, nodes.count))
        } else {
            if let known = nodes[place].wildcard { return known }
            nodes[place].wildcard = nodes.count
        }
        nodes.append(Node())
        return nodes.count - 1
    }

    func match(_ head: HTTPRequestHead) -> Match {
        var segments: [Range<Int>] = []
        segments.reserveCapacity(8)
        let bytes = head.fields.bytes
        var start = head.path.lowerBound + 1
        while start < head.path.upperBound {
            var end = start
            while end < head.path.upperBound, bytes[end] != UInt8(ascii: "/") { end += 1 }
            guard segments.count < Router.segmentCountMax else { return .notFound }
            segments.append(start..<end)
            start = end + 1
        }
        var parameters: [Range<Int>] = []
        guard let node = find(0, segments[...], bytes, &parameters) else { return .notFound }
        let routes = nodes[node].routes
        if let found = routes.first(where: { $0.method == head.method })
            ?? (head.method == .head ? routes.first { $0.method == .get } : nil)
        {
            return .found(found.route, parameters: parameters)
        }
        var allowed = routes.map(\.method.rawValue)
        if allowed.contains("GET") { allowed.append("HEAD") }
        return .methodNotAllowed(allowed: allowed.sorted().joined(separator: ", "))
    }

    private static func isEqual(
        _ literal: [UInt8], _ bytes: [UInt8], _ segment: Range<Int>
    ) -> Bool {
        guard literal.count == segment.count else { return false }
        for offset in 0..<literal.count where literal[offset] != bytes[segment.lowerBound + offset]
        { return false }
        return true
    }

    /// The node with routes that the segments lead to; literals are tried before wildcards.
    private func find(
        _ place: Int, _ segments: ArraySlice<Range<Int>>, _ bytes: [UInt8],
        _ parameters: inout [Range<Int>]
    ) -> Int? {
        guard let segment = segments.first else {
            return nodes[place].routes.isEmpty ? nil : place
        }
        let rest = segments.dropFirst()
        for (literal, node) in nodes[place].literals
        where Router.isEqual(literal, bytes, segment) {
            if let found = find(node, rest, bytes, &parameters) { return found }
        }
        guard let wildcard = nodes[place].wildcard, !segment.isEmpty else { return nil }
        parameters.append(segment)
        if let found = find(wildcard, rest, bytes, &parameters) { return found }
        parameters.removeLast()
        return nil
    }
}

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
        case found(Route, parameters: RouteParameters)
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
        precondition(
            names.count <= RouteParameters.countMax, "a pattern with too many wildcards: \(pattern)"
        )
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
        var parameters = RouteParameters()
        let rest = head.path.lowerBound + 1..<max(head.path.upperBound, head.path.lowerBound + 1)
        guard let node = find(0, rest, head.fields.bytes, 0, &parameters) else { return .notFound }
        if let route = route(node, head.method)
            ?? (head.method == .head ? route(node, .get) : nil)
        {
            return .found(route, parameters: parameters)
        }
        var allowed = nodes[node].routes.map(\.method.rawValue)
        if allowed.contains("GET") { allowed.append("HEAD") }
        return .methodNotAllowed(allowed: allowed.sorted().joined(separator: ", "))
    }

    private func route(_ node: Int, _ method: HTTPMethod) -> Route? {
        for index in nodes[node].routes.indices where nodes[node].routes[index].method == method {
            return nodes[node].routes[index].route
        }
        return nil
    }

    private func isLiteral(
        _ node: Int, _ index: Int, _ bytes: [UInt8], _ segment: Range<Int>
    ) -> Bool {
        let count = nodes[node].literals[index].segment.count
        guard count == segment.count else { return false }
        for offset in 0..<count
        where nodes[node].literals[index].segment[offset] != bytes[segment.lowerBound + offset] {
            return false
        }
        return true
    }

    /// The node with routes that the rest of a path leads to; literals are tried before wildcards.
    private func find(
        _ place: Int, _ rest: Range<Int>, _ bytes: [UInt8], _ depth: Int,
        _ parameters: inout RouteParameters
    ) -> Int? {
        guard !rest.isEmpty else { return nodes[place].routes.isEmpty ? nil : place }
        guard depth < Router.segmentCountMax else { return nil }
        var end = rest.lowerBound
        while end < rest.upperBound, bytes[end] != UInt8(ascii: "/") { end += 1 }
        let segment = rest.lowerBound..<end
        let next = min(end + 1, rest.upperBound)..<rest.upperBound
        for index in nodes[place].literals.indices where isLiteral(place, index, bytes, segment) {
            let node = nodes[place].literals[index].node
            if let found = find(node, next, bytes, depth + 1, &parameters) { return found }
        }
        guard let wildcard = nodes[place].wildcard, !segment.isEmpty else { return nil }
        parameters.append(segment)
        if let found = find(wildcard, next, bytes, depth + 1, &parameters) { return found }
        parameters.removeLast()
        return nil
    }
}

/// Where the wildcard segments of a path stand, kept without allocation.
struct RouteParameters: Sendable {
    static let countMax = 4

    private var first = 0..<0
    private var second = 0..<0
    private var third = 0..<0
    private var fourth = 0..<0
    private(set) var count = 0

    subscript(index: Int) -> Range<Int> {
        switch index {
        case 0: first
        case 1: second
        case 2: third
        default: fourth
        }
    }

    mutating func append(_ range: Range<Int>) {
        switch count {
        case 0: first = range
        case 1: second = range
        case 2: third = range
        default: fourth = range
        }
        count += 1
    }

    mutating func removeLast() { count -= 1 }
}

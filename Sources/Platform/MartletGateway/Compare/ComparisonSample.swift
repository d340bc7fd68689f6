// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// One of the worst cases, as much of it as is kept: a few kilobytes.
package struct ComparisonSample: Sendable {
    /// Of the request, and of each answer.
    static let textBytesMax = 8 << 10
    static let differencesMax = 20

    package var id: String
    package var severity: Double
    package var request: String
    package var before: String
    package var after: String
    package var differences: [JSONDifference]
    package var code: [CodeComparison]
    package var primaryMilliseconds: Double
    package var candidateMilliseconds: Double

    init(_ exchange: ExchangeComparison, severity: Double, noise: Set<String>) {
        id = exchange.id
        self.severity = severity
        request = exchange.request
        before = exchange.before
        after = exchange.after
        differences = Array(
            exchange.differences.filter { !noise.contains($0.pattern) }
                .prefix(ComparisonSample.differencesMax))
        code = Array(exchange.code.filter { !$0.isSame }.prefix(4))
        primaryMilliseconds = exchange.primaryLatency / .milliseconds(1)
        candidateMilliseconds = exchange.candidateLatency / .milliseconds(1)
    }

    static func beginning(_ bytes: [UInt8]) -> String {
        let text = String(decoding: bytes.prefix(textBytesMax), as: UTF8.self)
        return bytes.count > textBytesMax ? text + "…" : text
    }

    static func beginning(_ value: JSONValue) -> String { beginning(value.serialized()) }

    var json: JSONValue {
        [
            "id": .string(id), "severity": .number(severity), "request": .string(request),
            "before": .string(before), "after": .string(after),
            "milliseconds": [.number(primaryMilliseconds), .number(candidateMilliseconds)],
            "differences": .array(
                differences.map {
                    [
                        "path": .string($0.path), "kind": .string($0.kind.rawValue),
                        "before": ComparisonSample.short($0.before),
                        "after": ComparisonSample.short($0.after),
                    ]
                }),
            "code": .array(code.map(ComparisonSample.json)),
        ]
    }

    private static func json(_ code: CodeComparison) -> JSONValue {
        [
            "language": .string(code.language), "parsed": .bool(code.isParsed),
            "differences": .array(
                code.differences.prefix(differencesMax).map {
                    [
                        "kind": .string($0.kind.rawValue), "part": .string($0.part.rawValue),
                        "line": .integer(Int64($0.line)),
                        "before": $0.before.map { .string($0) } ?? .null,
                        "after": $0.after.map { .string($0) } ?? .null,
                    ]
                }),
        ]
    }

    /// A value that is long is cut, as text.
    static func short(_ value: JSONValue?) -> JSONValue {
        guard let value else { return .null }
        let bytes = value.serialized()
        guard bytes.count > 1_024 else { return value }
        return .string(String(decoding: bytes.prefix(1_000), as: UTF8.self) + "…")
    }
}

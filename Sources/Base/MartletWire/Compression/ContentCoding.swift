// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How a body is compressed on its way (RFC 9110 §8.4.1).
public enum ContentCoding: Sendable, Hashable {
    case identity
    case gzip
    /// The zlib format; on reading, bare deflate data too, which some clients send.
    case deflate

    /// The coding that a `Content-Encoding` value names; nil for others and for several.
    public init?(contentEncoding value: String) {
        switch value.lowercased() {
        case "", "identity": self = .identity
        case "gzip", "x-gzip": self = .gzip
        case "deflate": self = .deflate
        default: return nil
        }
    }

    public var name: StaticString {
        switch self {
        case .identity: "identity"
        case .gzip: "gzip"
        case .deflate: "deflate"
        }
    }

    /// The best coding that an `Accept-Encoding` value allows, gzip before deflate at equal weight.
    /// Identity when nothing else is wanted.
    public init(acceptEncoding value: String) {
        var best = (coding: ContentCoding.identity, weight: 0)
        for element in value.split(separator: ",") {
            let parts = element.split(separator: ";")
            guard let name = parts.first?.filter({ $0 != " " && $0 != "\t" }) else { continue }
            guard let coding = name == "*" ? .gzip : ContentCoding(contentEncoding: name),
                coding != .identity
            else { continue }
            let weight = parts.dropFirst().reduce(1000) { ContentCoding.weight($1) ?? $0 }
            if weight > best.weight || (weight == best.weight && weight > 0 && coding == .gzip) {
                best = (coding, weight)
            }
        }
        self = best.coding
    }

    /// Thousandths of a `q=0.5` parameter.
    private static func weight(_ parameter: Substring) -> Int? {
        let text = parameter.filter { $0 != " " && $0 != "\t" }.lowercased()
        guard text.hasPrefix("q=") else { return nil }
        let digits = text.dropFirst(2)
        if digits.hasPrefix("1") { return 1000 }
        guard digits.hasPrefix("0") else { return nil }
        var thousandths = 0
        var place = 100
        for digit in digits.dropFirst(2).prefix(3) {
            thousandths += (digit.wholeNumberValue ?? 0) * place
            place /= 10
        }
        return thousandths
    }
}

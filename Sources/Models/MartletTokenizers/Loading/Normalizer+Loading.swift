// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension Normalizer {
    /// Replacements in a row may make a text this many times as long.
    private static let growthMax = 256

    init(_ field: Field) throws(TokenizerError) {
        self = try Normalizer(part: field)
        guard growth <= Normalizer.growthMax else {
            throw TokenizerError(
                .limitExceeded,
                "\(field.path): its replacements make a text \(growth) times as long, at most "
                    + "\(Normalizer.growthMax) times are allowed")
        }
    }

    private init(part field: Field) throws(TokenizerError) {
        switch try field.type() {
        case "BertNormalizer":
            let lowercases = try field.bool("lowercase", default: true)
            self = .bert(
                BertNormalizer(
                    cleansText: try field.bool("clean_text", default: true),
                    separatesIdeographs: try field.bool("handle_chinese_chars", default: true),
                    stripsAccents: try field.bool("strip_accents", default: lowercases),
                    lowercases: lowercases))
        case "NFC": self = .form(.nfc)
        case "NFD": self = .form(.nfd)
        case "NFKC": self = .form(.nfkc)
        case "NFKD": self = .form(.nfkd)
        case "Lowercase": self = .lowercase
        case "StripAccents": self = .stripAccents
        case "Strip":
            self = .strip(
                left: try field.bool("strip_left", default: true),
                right: try field.bool("strip_right", default: true))
        case "Replace":
            self = .replace(
                try field.required("pattern").pattern(),
                with: try field.required("content").insertedBytes())
        case "Prepend": self = .prepend(try field.required("prepend").insertedBytes())
        case "Sequence":
            var parts: [Normalizer] = []
            for part in try field.required("normalizers").elements() {
                parts.append(try Normalizer(part: part))
            }
            self = .sequence(parts)
        case let other: throw field.unsupported("the normalizer \(other)")
        }
    }

    /// How many times as long replacements may make a text; saturates.
    private var growth: Int {
        switch self {
        case .replace(let pattern, let replacement):
            var shortest = 1
            if case .literal(let literal) = pattern { shortest = literal.count }
            return max(1, (replacement.count + shortest - 1) / shortest)
        case .sequence(let parts):
            return parts.reduce(1) { min($0, 1 << 30) * min($1.growth, 1 << 30) }
        default: return 1
        }
    }
}

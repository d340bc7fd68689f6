// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension Normalizer {
    init(_ field: Field) throws(TokenizerError) {
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
                with: try field.required("content").bytes())
        case "Prepend": self = .prepend(try field.required("prepend").bytes())
        case "Sequence":
            var parts: [Normalizer] = []
            for part in try field.required("normalizers").elements() {
                parts.append(try Normalizer(part))
            }
            self = .sequence(parts)
        case let other: throw field.unsupported("the normalizer \(other)")
        }
    }
}

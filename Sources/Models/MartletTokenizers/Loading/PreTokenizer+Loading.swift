// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension PreTokenizer {
    init(_ field: Field) throws(TokenizerError) {
        switch try field.type() {
        case "BertPreTokenizer": self = .bert
        case "Whitespace": self = .whitespace
        case "WhitespaceSplit": self = .whitespaceSplit
        case "ByteLevel":
            self = .byteLevel(
                addsPrefixSpace: try field.bool("add_prefix_space", default: true),
                pattern: try field.bool("use_regex", default: true) ? .gpt2 : nil)
        case "Punctuation":
            self = .split(
                .scalars(.punctuation, repeats: false),
                try PreTokenizer.behavior(field, default: .isolated), inverted: false)
        case "Digits":
            let isSingle = try field.bool("individual_digits", default: false)
            self = .split(
                .scalars(.numeric, repeats: !isSingle), .isolated, inverted: false)
        case "Split":
            self = .split(
                try field.required("pattern").pattern(),
                try PreTokenizer.behavior(field, default: .isolated),
                inverted: try field.bool("invert", default: false))
        case "CharDelimiterSplit":
            self = .split(
                .literal(try field.required("delimiter").filledBytes()), .removed, inverted: false)
        case "Metaspace": self = .metaspace(try Metaspace(field))
        case "Sequence": self = .sequence(try PreTokenizer.parts(field))
        case let other: throw field.unsupported("the pre-tokenizer \(other)")
        }
    }

    private static func parts(_ field: Field) throws(TokenizerError) -> [PreTokenizer] {
        let elements = try field.required("pretokenizers").elements()
        var parts: [PreTokenizer] = []
        for (index, element) in elements.enumerated() {
            let part = try PreTokenizer(element)
            if part.isByteLevel, index + 1 < elements.count {
                throw element.unsupported("ByteLevel before another pre-tokenizer")
            }
            parts.append(part)
        }
        return parts
    }

    private static func behavior(
        _ field: Field, default fallback: SplitBehavior
    ) throws(TokenizerError) -> SplitBehavior {
        guard let name = try field.member("behavior") else { return fallback }
        guard let behavior = SplitBehavior(rawValue: try name.string()) else {
            throw name.unsupported("the behavior \(try name.string())")
        }
        return behavior
    }
}

extension Metaspace {
    init(_ field: Field) throws(TokenizerError) {
        replacement = try field.member("replacement")?.insertedBytes() ?? Array("▁".utf8)
        splits = try field.bool("split", default: true)
        guard !replacement.isEmpty else {
            throw TokenizerError(.invalidFile, "\(field.path).replacement: must not be empty")
        }
        if let name = try field.member("prepend_scheme") {
            guard let scheme = PrependScheme(rawValue: try name.string()) else {
                throw name.unsupported("the scheme \(try name.string())")
            }
            self.scheme = scheme
        } else {
            scheme = try field.bool("add_prefix_space", default: true) ? .always : .never
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What kind of character a scalar is, as the tokenizers that models were trained with see it.
///
/// Those tokenizers use tables of several Unicode versions (punctuation of 8.0, marks of 9.0,
/// regular expressions of 16.0); Swift's own properties, cut at the same age, agree with them on
/// every scalar (Conformance/encoders checks that).
struct ScalarClass: OptionSet, Sendable {
    let rawValue: UInt16

    init(rawValue: UInt16) { self.rawValue = rawValue }

    static let whitespace = ScalarClass(rawValue: 1 << 0)
    /// ASCII punctuation and symbols, and categories P* of Unicode 8.
    static let punctuation = ScalarClass(rawValue: 1 << 1)
    /// Categories N*.
    static let numeric = ScalarClass(rawValue: 1 << 2)
    /// `\p{L}` in a regular expression.
    static let letter = ScalarClass(rawValue: 1 << 3)
    /// `\p{N}` in a regular expression.
    static let number = ScalarClass(rawValue: 1 << 4)
    /// `\w` in a regular expression.
    static let word = ScalarClass(rawValue: 1 << 5)
    /// Mn of Unicode 8: what stripping accents in BERT's way removes.
    static let nonspacingMark = ScalarClass(rawValue: 1 << 6)
    /// M* of Unicode 9: what `StripAccents` removes.
    static let mark = ScalarClass(rawValue: 1 << 7)
    /// What BERT's text cleaning removes.
    static let control = ScalarClass(rawValue: 1 << 8)
    /// The ideographs that BERT surrounds with spaces.
    static let ideograph = ScalarClass(rawValue: 1 << 9)
    /// `\p{Lu}` or `\p{Lt}` in a regular expression.
    static let upper = ScalarClass(rawValue: 1 << 10)
    /// `\p{Ll}` in a regular expression.
    static let lower = ScalarClass(rawValue: 1 << 11)
    /// `\p{M}` in a regular expression.
    static let regexMark = ScalarClass(rawValue: 1 << 12)
    /// `\p{P}` or `\p{S}` in a regular expression.
    static let symbol = ScalarClass(rawValue: 1 << 13)

    /// The class of a scalar. Cost: one load inside the basic plane, a search above it.
    @inline(__always)
    static func of(_ value: UInt32) -> ScalarClass {
        value < 0x10000 ? basicPlane[Int(value)] : classify(value)
    }

    private static let basicPlane: [ScalarClass] = (0..<UInt32(0x10000)).map(classify)

    private static func classify(_ value: UInt32) -> ScalarClass {
        guard let scalar = Unicode.Scalar(value) else { return [] }
        let properties = scalar.properties
        let category = properties.generalCategory
        let age = properties.age.map { $0.major * 10 + $0.minor } ?? Int.max
        var result: ScalarClass = []
        if properties.isWhitespace { result.insert(.whitespace) }
        if isPunctuation(value, category, age) { result.insert(.punctuation) }
        if isIdeograph(value) { result.insert(.ideograph) }
        switch category {
        case .decimalNumber, .letterNumber, .otherNumber: result.insert(.numeric)
        case .control, .format, .privateUse:
            if age <= 80, value != 9, value != 10, value != 13 { result.insert(.control) }
        default: break
        }
        if value == 0xFFFD { result.insert(.control) }
        insertMarks(value, category, age, into: &result)
        if age <= 160 { insertRegexClasses(value, properties, into: &result) }
        return result
    }

    private static func isPunctuation(
        _ value: UInt32, _ category: Unicode.GeneralCategory, _ age: Int
    ) -> Bool {
        if value < 0x80 {
            return (0x21...0x2F).contains(value) || (0x3A...0x40).contains(value)
                || (0x5B...0x60).contains(value) || (0x7B...0x7E).contains(value)
        }
        // Two characters changed their category after Unicode 8.
        if value == 0x166D || value == 0x111C9 { return true }
        switch category {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
            .initialPunctuation, .finalPunctuation, .otherPunctuation:
            return age <= 80
        default: return false
        }
    }

    private static func isIdeograph(_ value: UInt32) -> Bool {
        switch value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F,
            0x2B740...0x2B81F, 0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }

    private static func insertMarks(
        _ value: UInt32, _ category: Unicode.GeneralCategory, _ age: Int,
        into result: inout ScalarClass
    ) {
        // A few characters changed their category since.
        if value == 0x1734 || value == 0x1171E { result.insert(.nonspacingMark) }
        if value == 0x1CF2 || value == 0x1CF3 { result.insert(.mark) }
        guard age <= 90, value != 0x111C9 else { return }
        switch category {
        case .nonspacingMark:
            result.insert(.mark)
            let isYoung = value == 0x1885 || value == 0x1886 || value == 0xA9BD
            if age <= 80, !isYoung { result.insert(.nonspacingMark) }
        case .spacingMark, .enclosingMark: result.insert(.mark)
        default: break
        }
    }

    private static func insertRegexClasses(
        _ value: UInt32, _ properties: Unicode.Scalar.Properties, into result: inout ScalarClass
    ) {
        switch properties.generalCategory {
        case .uppercaseLetter, .titlecaseLetter: result.formUnion([.letter, .upper, .word])
        case .lowercaseLetter: result.formUnion([.letter, .lower, .word])
        case .modifierLetter, .otherLetter: result.formUnion([.letter, .word])
        case .decimalNumber: result.formUnion([.number, .word])
        case .letterNumber, .otherNumber: result.insert(.number)
        case .nonspacingMark, .spacingMark, .enclosingMark: result.formUnion([.word, .regexMark])
        case .connectorPunctuation: result.formUnion([.word, .symbol])
        case .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol,
            .otherSymbol:
            result.insert(.symbol)
        default: break
        }
        if properties.isAlphabetic || value == 0x200C || value == 0x200D { result.insert(.word) }
    }
}

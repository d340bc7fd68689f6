// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Byte-pair encoding: a word's symbols are joined pair by pair, the earliest learnt pair first.
struct BytePairEncoding: Sendable {
    /// What the model's settings say beyond its vocabulary and merges.
    struct Settings: Sendable {
        var unknownID: Int32?
        var fusesUnknown = false
        var fallsBackToBytes = false
        var ignoresMerges = false
        /// Words are bytes, not characters.
        var isByteLevel = false
        var continuingPrefix: [UInt8] = []
        var endOfWordSuffix: [UInt8] = []
    }

    let vocabulary: Vocabulary
    let settings: Settings
    let merges: MergeTable
    /// The id of each byte as a symbol (byte level), and of each byte's `<0xNN>` token; -1 is none.
    private let byteIDs: [Int32]
    private let fallbackIDs: [Int32]

    init(vocabulary: Vocabulary, merges: MergeTable, settings: Settings) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.settings = settings
        byteIDs =
            (0..<UInt8.max).map { vocabulary.id(of: [$0]) ?? -1 }
            + [vocabulary.id(of: [UInt8.max]) ?? -1]
        fallbackIDs = BytePairEncoding.fallbackTokens.map { vocabulary.id(of: $0) ?? -1 }
    }

    /// `<0x00>` to `<0xFF>`.
    static let fallbackTokens: [[UInt8]] = (0..<256).map { byte in
        let digits = String(byte, radix: 16, uppercase: true)
        return Array("<0x\(byte < 16 ? "0" : "")\(digits)>".utf8)
    }

    /// Appends the word's ids. Cost: n log n in the word's length.
    func tokenize(
        _ text: Span<UInt8>, _ piece: Piece, into ids: inout [Int32], symbols: inout SymbolList
    ) {
        if settings.ignoresMerges, let id = vocabulary.index.id(of: text, piece) {
            return ids.append(id)
        }
        symbols.removeAll()
        if settings.isByteLevel, settings.continuingPrefix.isEmpty,
            settings.endOfWordSuffix.isEmpty
        {
            appendBytes(text, piece, to: &symbols)
        } else {
            appendScalars(text, piece, to: &symbols)
        }
        symbols.merge(with: merges, into: &ids)
    }

    private func appendBytes(_ text: Span<UInt8>, _ piece: Piece, to symbols: inout SymbolList) {
        var lastIsUnknown = false
        for index in piece.range {
            let id = byteIDs[Int(text[index])]
            if id >= 0 {
                symbols.append(id)
                lastIsUnknown = false
            } else if let unknown = settings.unknownID {
                if !(lastIsUnknown && settings.fusesUnknown) { symbols.append(unknown) }
                lastIsUnknown = true
            }
        }
    }

    private func appendScalars(_ text: Span<UInt8>, _ piece: Piece, to symbols: inout SymbolList) {
        var index = piece.start
        var pendingUnknown = false
        while index < piece.end {
            let next =
                settings.isByteLevel ? index + 1 : UTF8Text.scalar(text, at: index).next
            let symbol = Piece(start: index, end: min(next, piece.end))
            if let id = symbolID(text, symbol, of: piece) {
                if pendingUnknown, let unknown = settings.unknownID { symbols.append(unknown) }
                pendingUnknown = false
                symbols.append(id)
            } else if !appendFallback(text, symbol, to: &symbols),
                let unknown = settings.unknownID
            {
                if pendingUnknown, !settings.fusesUnknown { symbols.append(unknown) }
                pendingUnknown = true
            }
            index = symbol.end
        }
        if pendingUnknown, let unknown = settings.unknownID { symbols.append(unknown) }
    }

    private func symbolID(_ text: Span<UInt8>, _ symbol: Piece, of piece: Piece) -> Int32? {
        let takesPrefix = symbol.start > piece.start && !settings.continuingPrefix.isEmpty
        let takesSuffix = symbol.end == piece.end && !settings.endOfWordSuffix.isEmpty
        guard takesPrefix || takesSuffix else { return vocabulary.index.id(of: text, symbol) }
        var content = takesPrefix ? settings.continuingPrefix : []
        for index in symbol.range { content.append(text[index]) }
        if takesSuffix { content.append(contentsOf: settings.endOfWordSuffix) }
        return vocabulary.id(of: content)
    }

    /// Appends the tokens of the symbol's bytes; false when one of them has none.
    private func appendFallback(
        _ text: Span<UInt8>, _ symbol: Piece, to symbols: inout SymbolList
    ) -> Bool {
        guard settings.fallsBackToBytes else { return false }
        for index in symbol.range where fallbackIDs[Int(text[index])] < 0 { return false }
        for index in symbol.range { symbols.append(fallbackIDs[Int(text[index])]) }
        return true
    }
}

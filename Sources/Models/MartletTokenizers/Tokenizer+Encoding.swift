// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension Tokenizer {
    /// Encodes one text.
    ///
    /// - Parameters:
    ///   - addsSpecialTokens: Put the special tokens of the file's template around the text.
    ///   - truncation: Cut what is too long; nil keeps everything. When tokens are cut from the
    ///     right, reading stops as soon as enough are known.
    /// - Throws: `TokenizerError` when the text is larger than the limits allow.
    public func encode(
        _ text: String, addsSpecialTokens: Bool = true, truncation: Truncation? = nil
    ) throws(TokenizerError) -> Encoding {
        try encode(text, nil, addsSpecialTokens, truncation)
    }

    /// Encodes two texts together, as cross-encoders read them.
    public func encode(
        _ text: String, pair: String, addsSpecialTokens: Bool = true, truncation: Truncation? = nil
    ) throws(TokenizerError) -> Encoding {
        try encode(text, pair, addsSpecialTokens, truncation)
    }

    private func encode(
        _ text: String, _ pair: String?, _ addsSpecialTokens: Bool, _ truncation: Truncation?
    ) throws(TokenizerError) -> Encoding {
        for text in [text, pair ?? ""] where text.utf8.count > limits.textBytesMax {
            throw TokenizerError(
                .limitExceeded,
                "text: \(text.utf8.count) bytes are more than the \(limits.textBytesMax) allowed")
        }
        let items = (addsSpecialTokens ? postProcessor : .plain).items(isPair: pair != nil)
        let room = truncation.map { $0.lengthMax - PostProcessor.addedCount(items) }
        var enough: Int?
        if let room, truncation?.side == .right { enough = max(room, 0) + 1 }
        var first: [Int32] = []
        var second: [Int32] = []
        withScratch { scratch in
            // Which of two texts is longer decides who keeps the odd token: the first is read
            // whole.
            append(text, to: &first, enough: pair == nil ? enough : nil, &scratch)
            guard let pair else { return }
            let enoughForSecond = enough.map { max($0, first.count + 1) }
            append(pair, to: &second, enough: enoughForSecond, &scratch)
        }
        var isTruncated = false
        if let truncation, let room { isTruncated = truncation.cut(&first, &second, room: room) }
        var encoding = PostProcessor.apply(items, first, second)
        encoding.isTruncated = isTruncated
        return encoding
    }

    /// Appends a text's ids; stops after a word when `enough` are there.
    private func append(
        _ text: String, to ids: inout [Int32], enough: Int?, _ scratch: inout Scratch
    ) {
        scratch.input.removeAll(keepingCapacity: true)
        scratch.input.append(contentsOf: text.utf8)
        guard added.hasRaw else {
            let whole = Piece(start: 0, end: scratch.input.count)
            return appendRaw(whole, to: &ids, enough: enough, &scratch)
        }
        let input = scratch.input
        added.split(input.span, isNormalized: false, into: &scratch.segments)
        for index in scratch.segments.indices {
            let segment = scratch.segments[index]
            if let id = segment.id {
                ids.append(id)
            } else {
                appendRaw(segment.piece, to: &ids, enough: enough, &scratch)
            }
            if let enough, ids.count >= enough { return }
        }
    }

    /// Normalises a stretch of raw text and appends its ids.
    private func appendRaw(
        _ piece: Piece, to ids: inout [Int32], enough: Int?, _ scratch: inout Scratch
    ) {
        var text = scratch.work.text
        scratch.work.text = []
        text.removeAll(keepingCapacity: true)
        text.append(contentsOf: scratch.input[piece.range])
        normalizer?.apply(to: &text, scratch: &scratch.normalizing)
        let isAtStart = piece.start == 0
        guard added.hasNormalized else {
            scratch.work.text = text
            let whole = Piece(start: 0, end: text.count)
            return appendWords(whole, isAtStart, to: &ids, enough: enough, &scratch)
        }
        added.split(text.span, isNormalized: true, into: &scratch.moreSegments)
        for index in scratch.moreSegments.indices {
            let segment = scratch.moreSegments[index]
            if let id = segment.id {
                ids.append(id)
            } else {
                scratch.work.text.removeAll(keepingCapacity: true)
                scratch.work.text.append(contentsOf: text[segment.piece.range])
                let whole = Piece(start: 0, end: segment.piece.count)
                let isFirst = isAtStart && segment.piece.start == 0
                appendWords(whole, isFirst, to: &ids, enough: enough, &scratch)
            }
            if let enough, ids.count >= enough { return }
        }
    }

    /// Splits normalised text into words and appends their ids.
    private func appendWords(
        _ piece: Piece, _ isAtStart: Bool, to ids: inout [Int32], enough: Int?,
        _ scratch: inout Scratch
    ) {
        guard !piece.isEmpty else { return }
        scratch.work.pieces.removeAll(keepingCapacity: true)
        scratch.work.pieces.append(piece)
        scratch.work.isAtStart = isAtStart
        preTokenizer?.apply(to: &scratch.work)
        let text = scratch.work.text
        for index in scratch.work.pieces.indices {
            model.tokenize(
                text.span, scratch.work.pieces[index], into: &ids, scratch: &scratch.model)
            if let enough, ids.count >= enough { return }
        }
    }

    /// The text that tokens stand for.
    /// - Throws: `TokenizerError` for an id that is not in the vocabulary.
    public func decode(
        _ ids: [Int32], skipsSpecialTokens: Bool = true
    ) throws(TokenizerError) -> String {
        var tokens: [[UInt8]] = []
        for id in ids {
            if skipsSpecialTokens, added.token(id)?.isSpecial == true { continue }
            guard let content = contentBytes(of: Int(id)) else {
                throw TokenizerError(
                    .invalidInput, "decode: the vocabulary has no token with the id \(id)")
            }
            tokens.append(content)
        }
        let parts = decoder?.apply(tokens) ?? tokens
        let joined = Array(
            decoder == nil && preTokenizer?.isByteLevel != true
                ? Array(parts.joined(separator: [0x20])) : Array(parts.joined()))
        return String(decoding: joined, as: UTF8.self)
    }
}

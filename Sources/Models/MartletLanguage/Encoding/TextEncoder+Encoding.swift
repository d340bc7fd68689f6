// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTokenizers

extension TextEncoder {
    /// Encodes one text with its special tokens.
    /// - Throws: `LanguageError` when the text is too long and must not be cut, or too large.
    public func encode(_ text: String, truncates: Bool = true) throws(LanguageError) -> Encoding {
        do {
            let encoding = try tokenizer.encode(text, truncation: truncation)
            return try checked(encoding, truncates: truncates)
        } catch let error as LanguageError {
            throw error
        } catch {
            throw LanguageError(.limitExceeded, "\(error)", cause: error)
        }
    }

    /// Encodes two texts for a cross-encoder.
    public func encode(
        _ text: String, pair: String, truncates: Bool = true
    ) throws(LanguageError) -> Encoding {
        do {
            let encoding = try tokenizer.encode(text, pair: pair, truncation: truncation)
            return try checked(encoding, truncates: truncates)
        } catch let error as LanguageError {
            throw error
        } catch {
            throw LanguageError(.limitExceeded, "\(error)", cause: error)
        }
    }

    /// Takes token ids as they are: no special tokens are added.
    /// - Throws: `LanguageError` for an id outside the vocabulary.
    public func encode(tokens: [Int], truncates: Bool = true) throws(LanguageError) -> Encoding {
        guard !tokens.isEmpty else {
            throw LanguageError(.invalidInput, "tokens: expected at least one")
        }
        var ids: [Int32] = []
        ids.reserveCapacity(min(tokens.count, sequenceLengthMax))
        for (place, token) in tokens.enumerated() {
            guard token >= 0, token < vocabularySize, let id = Int32(exactly: token) else {
                throw LanguageError(
                    .invalidInput,
                    "tokens[\(place)]: \(token) is not from 0 to \(vocabularySize - 1)")
            }
            if ids.count < sequenceLengthMax { ids.append(id) }
        }
        let encoding = Encoding(
            ids: ids, typeIDs: Array(repeating: 0, count: ids.count),
            isTruncated: tokens.count > sequenceLengthMax)
        return try checked(encoding, truncates: truncates)
    }

    private var truncation: Truncation {
        var truncation = tokenizer.truncation ?? Truncation(lengthMax: 0)
        truncation.lengthMax = sequenceLengthMax
        return truncation
    }

    private func checked(
        _ encoding: Encoding, truncates: Bool
    ) throws(LanguageError) -> Encoding {
        guard truncates || !encoding.isTruncated else {
            throw LanguageError(
                .invalidInput, "the text has more than the model's \(sequenceLengthMax) tokens")
        }
        guard encoding.count <= sequenceLengthMax else {
            throw LanguageError(
                .unsupported,
                "the model's \(sequenceLengthMax) tokens do not hold its special tokens")
        }
        return encoding
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Guesses the next tokens from what followed the same few tokens earlier on.
///
/// Algorithm: prompt lookup decoding (Saxena, 2023). Guesses that fail cost rows, so that a
/// sequence whose guesses fail often makes fewer of them.
struct PromptLookup: Sendable {
    private static let longest = 4
    private static let shortest = 2
    /// Tokens that are searched, from the end.
    private static let reach = 8192

    /// Tokens guessed at a time: doubled where all were right, halved where the first was wrong.
    private var width = 4
    private var failures = 0
    /// Steps without guesses to come.
    private var pause = 0

    mutating func propose(_ tokens: [Int32], countMax: Int) -> [Int32] {
        let countMax = min(countMax, width)
        guard countMax > 0 else { return [] }
        if pause > 0 {
            pause -= 1
            return []
        }
        let begin = max(0, tokens.count - PromptLookup.reach)
        for length in stride(from: PromptLookup.longest, through: PromptLookup.shortest, by: -1)
        where tokens.count - begin > length {
            let tail = tokens.count - length
            var place = tail - 1
            while place >= begin {
                if tokens[place] == tokens[tail], matches(tokens, place, tail, length) {
                    let next = place + length
                    return Array(tokens[next..<min(next + countMax, tokens.count)])
                }
                place -= 1
            }
        }
        return []
    }

    private func matches(_ tokens: [Int32], _ left: Int, _ right: Int, _ length: Int) -> Bool {
        for offset in 1..<length where tokens[left + offset] != tokens[right + offset] {
            return false
        }
        return true
    }

    mutating func learn(guessed: Int, right: Int) {
        guard guessed > 0 else { return }
        if right == guessed {
            width = min(width * 2, 64)
        } else if right == 0 {
            width = max(width / 2, 1)
        }
        failures = right > 0 ? 0 : failures + 1
        guard failures >= 4 else { return }
        failures = 0
        pause = 8
    }
}

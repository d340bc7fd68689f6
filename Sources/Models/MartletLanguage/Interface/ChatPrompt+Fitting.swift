// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

extension LanguageText {
    /// The tokens of a conversation whose oldest turns are dropped where it leaves less than an
    /// eighth of the room to its answer; instructions stay.
    /// - Throws: `.contextExceeded` when the last message alone does not fit; then nothing is
    ///   dropped.
    package func fit(
        _ chat: inout ChatPrompt, tokensMax: Int, wallSeconds: Int64
    ) throws(LanguageError) -> (tokens: [Int32], droppedCount: Int) {
        var shorter = chat
        while true {
            let prompt = try render(shorter, wallSeconds: wallSeconds)
            let tokens = try tokens(prompt, addsSpecialTokens: false)
            let isRoomy = tokens.count <= tokensMax - tokensMax / 8
            if isRoomy || !shorter.dropOldestTurn() {
                guard tokens.count <= tokensMax else {
                    throw LanguageError(
                        .contextExceeded,
                        "the message has \(tokens.count) tokens, at most \(tokensMax) fit")
                }
                let droppedCount = chat.messages.count - shorter.messages.count
                chat = shorter
                return (tokens, droppedCount)
            }
        }
    }
}

extension ChatPrompt {
    /// Drops the first message behind the instructions, and what answered it.
    /// - Returns: false when only the last message is left.
    fileprivate mutating func dropOldestTurn() -> Bool {
        let first = messages.firstIndex { $0["role"] != "system" } ?? messages.count
        guard first < messages.count - 1 else { return false }
        repeat {
            messages.remove(at: first)
        } while first < messages.count - 1 && messages[first]["role"] != "user"
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("Conversations that outgrow the context")
struct ChatFittingTests {
    private static func text() throws -> LanguageText {
        LanguageText(
            tokenizer: try TinyTokenizer.make(),
            templates: ["": try ChatTemplate(ChatTemplate.plain)],
            endTokens: [TinyTokenizer.turnEnd], contextLength: 400)
    }

    @Test("the oldest turns go, instructions and the last message stay")
    func oldest() throws {
        let text = try Self.text()
        var chat: ChatPrompt = [.system("Be brief.")]
        var dropped = 0
        for turn in 0..<30 {
            chat.append(.user("question \(turn) " + String(repeating: "x", count: 40)))
            let fitting = try text.fit(&chat, tokensMax: 400, wallSeconds: 0)
            dropped += fitting.droppedCount
            #expect(fitting.tokens.count <= 350)
            #expect(chat.messages.first?["role"] == "system")
            #expect(chat.messages[1]["role"] == "user")
            #expect(
                chat.messages.last?["content"]?.stringValue?.hasPrefix("question \(turn) ") == true)
            chat.append(.assistant("answer \(turn)"))
        }
        #expect(dropped + chat.messages.count == 61)
        #expect(dropped > 40 && dropped % 2 == 0)
    }

    @Test("a last message that alone is too long is refused, and the conversation kept")
    func tooLong() throws {
        let text = try Self.text()
        var chat: ChatPrompt = [.user("a"), .assistant("b")]
        chat.append(.user(String(repeating: "x", count: 500)))
        let error = #expect(throws: LanguageError.self) {
            _ = try text.fit(&chat, tokensMax: 400, wallSeconds: 0)
        }
        #expect(error?.code == .contextExceeded)
        #expect(chat.messages.count == 3)
        chat.messages.removeLast()
        chat.append(.user(String(repeating: "x", count: 330)))
        #expect(try text.fit(&chat, tokensMax: 400, wallSeconds: 0).tokens.count <= 400)
        #expect(chat.messages.count == 1)
    }
}

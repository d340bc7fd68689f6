// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// One turn of a conversation.
public struct ChatMessage: Sendable, Hashable {
    /// `system`, `user`, `assistant`, or another that the model's template knows.
    public var role: String
    public var content: String

    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }

    public static func system(_ content: String) -> ChatMessage {
        ChatMessage(role: "system", content: content)
    }

    public static func user(_ content: String) -> ChatMessage {
        ChatMessage(role: "user", content: content)
    }

    public static func assistant(_ content: String) -> ChatMessage {
        ChatMessage(role: "assistant", content: content)
    }

    fileprivate var value: JSONValue { ["role": .string(role), "content": .string(content)] }
}

/// `[.system("Be brief."), .user("Hello")]`
extension ChatPrompt: ExpressibleByArrayLiteral {
    public init(_ messages: [ChatMessage]) {
        self.init(messages: messages.map(\.value))
    }

    public init(arrayLiteral messages: ChatMessage...) { self.init(messages) }

    public mutating func append(_ message: ChatMessage) { messages.append(message.value) }
}

extension AnswerFormat {
    /// Values that a JSON Schema describes.
    /// - Throws: `LanguageError.invalidInput` for a text that is no JSON.
    public static func schema(json: String) throws(LanguageError) -> AnswerFormat {
        do throws(JSONError) {
            return .schema(try JSONValue(parsing: json))
        } catch {
            throw LanguageError(.invalidInput, "schema: \(error)", cause: error)
        }
    }
}

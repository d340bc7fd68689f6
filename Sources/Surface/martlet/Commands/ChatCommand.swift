// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Glibc
internal import MartletBase
internal import MartletJSON
internal import MartletLanguage

/// `martlet chat MODEL`: a conversation in the terminal.
struct ChatCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "Talk with a language model in the terminal.",
        discussion: """
              martlet chat path/to/model
              echo "A question" | martlet chat model.gguf --max-tokens 200
            An empty line or the input's end ends the conversation.
            """)

    @Argument(help: "A Hugging Face folder or a GGUF file.")
    var model: String

    @Option(help: "What the model is told first.")
    var system: String?

    @Option(help: "The most tokens of an answer.")
    var maxTokens = 1024

    @Option(help: "0 takes the likeliest token each time.")
    var temperature: Double?

    @Option(help: "The same seed gives the same answers.")
    var seed: UInt64?

    @Option(help: "Keep packed weights for the next start: on (default), off, or a folder.")
    var planCache = "on"

    func run() async throws {
        let command = self
        try await OwnThread.run { try command.talk() }
    }

    private func talk() throws {
        var options = DecoderOptions()
        if planCache == "on" {
            // A terminal without a home goes without.
            options.planCache = try? PlanCacheSetting.options(planCache)
        } else {
            options.planCache = try PlanCacheSetting.options(planCache)
        }
        let language = try LoadedDecoder.open(model, options: options)
        let text = language.text
        let core = GenerationCore(
            runner: language.runner, tokenizer: text.tokenizer, endTokens: text.endTokens)
        var chat = ChatPrompt(messages: [])
        if let system {
            chat.messages.append(["role": "system", "content": .string(system)])
        }
        let isTerminal = isatty(STDIN_FILENO) == 1
        while true {
            if isTerminal { Self.write("> ") }
            guard let line = readLine(), !line.isEmpty else { return }
            chat.messages.append(["role": "user", "content": .string(line)])
            do {
                let answer = try self.answer(&chat, text, core)
                chat.messages.append(["role": "assistant", "content": .string(answer)])
            } catch let error as LanguageError where error.code == .contextExceeded {
                // The message alone is too long: the conversation goes on without it.
                chat.messages.removeLast()
                Self.write("(\(error.message))\n")
            }
        }
    }

    /// Writes the answer as it comes.
    private func answer(
        _ chat: inout ChatPrompt, _ text: LanguageText, _ core: GenerationCore
    ) throws -> String {
        var options = GenerationOptions()
        options.sampling = text.sampling
        options.tokensMax = maxTokens
        if let temperature { options.sampling.temperature = temperature }
        options.sampling.seed = seed
        // A model without a template goes on with what it reads.
        let hasTemplate = text.templates[""] != nil
        let most = core.scheduler.sequenceTokensMax - 1
        var tokens: [Int32]
        if hasTemplate {
            let fitting = try text.fit(&chat, tokensMax: most, wallSeconds: Int64(time(nil)))
            tokens = fitting.tokens
            if fitting.droppedCount > 0 {
                Self.write("(the oldest \(fitting.droppedCount) messages are forgotten)\n")
            }
        } else {
            tokens = try text.tokens(
                chat.messages.last?["content"]?.stringValue ?? "", addsSpecialTokens: true)
            tokens.removeFirst(max(0, tokens.count - most))
        }
        let collected = Collected()
        _ = try core.submit(
            PreparedGeneration(tokens: tokens, options: options, continuesText: !hasTemplate) {
                collected.take($0)
            }, now: SystemTime().now())
        while core.step(time: SystemTime()) {}
        Self.write("\n")
        if let failure = collected.failure { throw failure }
        return collected.text
    }

    // Sendable: the core calls it on the thread that steps it, which is the one that reads it.
    private final class Collected: @unchecked Sendable {
        var text = ""
        var failure: LanguageError?

        func take(_ event: GenerationEvent) {
            switch event {
            case .delta(let delta):
                text += delta.text
                ChatCommand.write(delta.text)
            case .failed(let error): failure = error
            default: break
            }
        }
    }

    private static func write(_ text: String) {
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let count = unsafe bytes[start...].withUnsafeBytes {
                unsafe Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count)
            }
            guard count > 0 else { return }
            start += count
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
package import MartletBase
internal import MartletTokenizers
internal import Synchronization

/// A language model in your own program: a decoder with its tokenizer and chat template, and the
/// one thread that generates with it.
///
///     let model = try await LanguageModel(contentsOf: "/models/qwen.gguf")
///     for try await piece in model.generate(.chat([.user("Hello")])) {
///         print(piece.text, terminator: "")
///     }
///
/// Any number of tasks may ask at once: their requests share each step of the model (continuous
/// batching) and the cache of what their prompts have in common. Nothing runs on Swift's
/// cooperative pool. When the last reference goes, running answers are finished, then the thread
/// ends and the memory is free; `close` does not wait for answers.
public final class LanguageModel: Sendable {
    /// The tokenizer, the chat template, the special tokens, and the sampling its makers advise.
    public let text: LanguageText
    package let generator: TextGenerator
    private let workers: WorkerPool
    private let ending: ThreadEnding
    private let isClosed = Atomic<Bool>(false)

    /// Opens a Hugging Face folder or a GGUF file on a thread of its own.
    ///
    /// Cost: weights are mapped and packed for this processor: about a second for each 2 GB, and as
    /// much memory as the file has.
    /// - Throws: `LanguageError`: `.missingFile`, `.invalidFile` and `.unsupported` name the file
    ///   and its field, `.limitExceeded` the bound, `.invalidInput` the option.
    public convenience init(
        contentsOf path: String, options: LanguageModelOptions = LanguageModelOptions()
    ) async throws(LanguageError) {
        let ending = ThreadEnding()
        let result: Result<TextGenerator, LanguageError>
        do throws(ThreadFailure) {
            result = try await NativeThread.run(name: "martlet-open") {
                Result { () throws(LanguageError) in
                    try LanguageModel.open(path, options, ending)
                }
            }
        } catch {
            throw LanguageError(.overloaded, "\(error)", cause: error)
        }
        self.init(try result.get(), ending)
    }

    /// Takes over a decoder that is open.
    package convenience init(
        _ decoder: sending LoadedDecoder, policy: SchedulerPolicy = SchedulerPolicy(),
        time: any TimeSource = SystemTime()
    ) throws(LanguageError) {
        let ending = ThreadEnding()
        self.init(
            try TextGenerator(decoder, policy: policy, time: time, onEnd: { ending.reach() }),
            ending)
    }

    private init(_ generator: TextGenerator, _ ending: ThreadEnding) {
        self.generator = generator
        self.ending = ending
        text = generator.text
        workers = WorkerPool(name: "martlet-prompts", threads: 2, waitingMax: 1024)
    }

    private static func open(
        _ path: String, _ options: LanguageModelOptions, _ ending: ThreadEnding
    ) throws(LanguageError) -> TextGenerator {
        if let fault = options.fault { throw LanguageError(.invalidInput, fault) }
        let generator = try TextGenerator(
            try LoadedDecoder.open(path, options), policy: options.policy, time: SystemTime(),
            onEnd: { ending.reach() })
        if let failure = generator.adapterFailure { throw failure }
        return generator
    }

    /// Tokens that a prompt and its answer may have together.
    public var contextLength: Int { text.contextLength }

    /// The tokens of a text, special tokens in it found as such. Cost: linear; some megabytes of
    /// text a second.
    /// - Parameter addsSpecialTokens: put the model's own beginning before it.
    /// - Throws: `LanguageError.limitExceeded` for a text that is too long to be one.
    public func tokenize(
        _ text: String, addsSpecialTokens: Bool = true
    ) throws(LanguageError) -> [Int32] {
        try self.text.tokens(text, addsSpecialTokens: addsSpecialTokens)
    }

    /// The text of tokens; bytes that are no text are replaced.
    /// - Throws: `LanguageError.invalidInput` for a number that is no token.
    public func detokenize(
        _ tokens: [Int32], skipsSpecialTokens: Bool = true
    ) throws(LanguageError) -> String {
        do throws(TokenizerError) {
            return try text.tokenizer.decode(tokens, skipsSpecialTokens: skipsSpecialTokens)
        } catch {
            throw LanguageError(.invalidInput, error.message, cause: error)
        }
    }

    /// A conversation as the model reads it, by its own template.
    /// - Throws: `LanguageError.unsupported` where it has none, `.invalidInput` where the template
    ///   refuses the conversation.
    public func render(_ chat: ChatPrompt) throws(LanguageError) -> String {
        try text.render(chat, wallSeconds: Int64(time(nil)))
    }

    /// Ends every request with `LanguageError.closed`, then the thread, and returns when the
    /// weights' memory is free. Later requests fail in the same way. May be called again.
    public func close() async {
        isClosed.store(true, ordering: .releasing)
        workers.stop()
        let closed = LanguageModel.closed
        _ = generator.perform { $0.failAll(closed) }
        generator.stop()
        await ending.wait()
    }

    private static let closed = LanguageError(.closed, "the language model was closed")

    /// Prepares and starts a request on a worker thread.
    func submit(
        _ input: GenerationInput, _ cancellation: Cancellation, _ mailbox: PieceMailbox
    ) {
        let isTaken = workers.submit { [generator] in
            do throws(LanguageError) {
                if cancellation.isCancelled {
                    throw LanguageError(.cancelled, "the request was cancelled")
                }
                let prepared = try generator.prepare(input, wallSeconds: Int64(time(nil))) {
                    mailbox.receive($0)
                }
                try generator.start(prepared, cancellation)
            } catch {
                mailbox.receive(.failed(error))
            }
        }
        guard !isTaken else { return }
        let isClosed = isClosed.load(ordering: .acquiring)
        mailbox.receive(
            .failed(
                isClosed
                    ? LanguageModel.closed
                    : LanguageError(.overloaded, "too many prompts wait to be read")))
    }
}

/// Says when a thread has ended, to any number who wait.
final class ThreadEnding: Sendable {
    private struct State {
        var isReached = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func reach() {
        let waiting = state.withLock { state in
            state.isReached = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isReached = state.withLock { state in
                if !state.isReached { state.waiting.append(continuation) }
                return state.isReached
            }
            if isReached { continuation.resume() }
        }
    }
}

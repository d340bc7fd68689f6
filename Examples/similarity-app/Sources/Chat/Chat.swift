// A language model inside your own program: several questions at once, answered by the same steps.
import MartletLanguage

@main
struct Chat {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 2 else { return print("usage: Chat MODEL QUESTION…") }
        let model = try await LanguageModel(contentsOf: arguments[1])

        var options = model.defaultOptions
        options.tokensMax = 60
        options.sampling.temperature = 0.7
        options.sampling.seed = 1

        // All begin now; each waits in its own stream until it is read.
        let answers = arguments.dropFirst(2).map { question in
            (question, model.generate(.chat([.user(question)]), options: options))
        }
        for (question, answer) in answers {
            print("> \(question)")
            for try await piece in answer {
                print(piece.text, terminator: "")
                if let reason = piece.finishReason, let usage = piece.usage {
                    print("\n(\(usage.completionTokens) tokens, \(reason))")
                }
            }
        }
        await model.close()
    }
}

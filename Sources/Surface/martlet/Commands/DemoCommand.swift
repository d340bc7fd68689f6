// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletJSON

/// `martlet demo`: asks a running server what the README asks it.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Send a running server the README's example requests.",
        discussion: """
            Embeds the paragraphs of the given text files and folders through the OpenAI \
            embeddings route, searches them by meaning, and has an image classified through the \
            Open Inference Protocol. `./run` uses it.
            """)

    @Option(name: .long, help: "The server's HTTP port on this machine.")
    var port = 8_000

    @Option(name: .long, help: "The embedding model's name.")
    var embedder: String

    @Option(name: .long, help: "An image to classify with the model 'digits'.")
    var image: String?

    @Option(name: .long, help: "What to search for; may be given several times.")
    var query: [String] = []

    @Argument(help: "Text files, or folders of Markdown files, to search.")
    var paths: [String]

    private static let queries = [
        "How do I add a new operator?", "What becomes of a request when its client hangs up?",
        "Why are the tests not built in debug mode?",
    ]

    func run() throws {
        let client = try LoopbackClient(port: port)
        let passages = try PassageReader.read(paths)
        guard !passages.isEmpty else {
            throw ValidationError("no paragraphs found in \(paths.joined(separator: ", "))")
        }
        let search = try SemanticSearch(client: client, model: embedder, passages: passages)
        print("Read \(passages.count) paragraphs, \(search.summary).\n")
        for query in query.isEmpty ? DemoCommand.queries : query {
            print("  ? \(query)")
            for hit in try search.best(for: query, count: 2) {
                print("    \(hit.score)  \(hit.passage.source): \(hit.passage.shortened)")
            }
            print("")
        }
        if let image {
            print("  ? What digit is \(image)?")
            for label in try ImageQuestion.classify(path: image, model: "digits", client: client) {
                print("    \(label)")
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Glibc
internal import MartletGateway
internal import MartletJSON
internal import MartletProxy
internal import MartletStorage

/// `martlet compare`: what a candidate answers otherwise.
struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare a candidate's answers with those of what serves now.",
        discussion: """
            A running gateway compares as its requests go by (shadow, Documentation/Gateway.md):
              martlet compare report gpt-small --gateway http://127.0.0.1:8080 --key-env ADMIN_KEY
            Without a gateway, a file of requests is asked of both:
              martlet compare replay requests.jsonl --a http://old:8000 --b http://new:8000 --noise
            """,
        subcommands: [CompareReportCommand.self, CompareReplayCommand.self])
}

/// Where a comparison's page and document go.
struct ComparisonOutput: ParsableArguments {
    @Option(help: "The folder for NAME.html and NAME.json.")
    var out = "."

    @Flag(help: "Print the table only; write nothing.")
    var dry = false

    /// Prints the table and writes the page and the document.
    func show(_ document: JSONValue, name: String) throws {
        guard let report = document["report"], report.objectValue != nil else {
            throw CommandFailure("this is no comparison: it has no report")
        }
        if let table = document["table"]?.stringValue { print(table) }
        guard !dry else { return }
        try FileSystem.makeFolder(out)
        let plain = String(
            name.unicodeScalars.map {
                $0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "-" || $0 == "."
                    ? Character($0) : "-"
            })
        let path = "\(out)/compare-\(plain.isEmpty ? "report" : String(plain.prefix(100)))"
        try write(Array(ComparisonPage.html(report, name: name).utf8), to: path + ".html")
        try write(document.serialized(), to: path + ".json")
        print("\nwritten: \(path).html, \(path).json")
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        var file = try FileReplacement(path: path)
        try unsafe bytes.withUnsafeBytes { try unsafe file.append($0) }
        try file.commit()
    }
}

/// `martlet compare report MODEL`.
struct CompareReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Show what a gateway's shadowed candidate answers otherwise.")

    @Argument(help: "The model whose shadow was compared, or a file that was written before.")
    var id: String

    @Option(help: "The gateway's address.")
    var gateway = "http://127.0.0.1:8080"

    @Option(help: "The environment variable that holds the gateway's admin key.")
    var keyEnv = "MARTLET_ADMIN_KEY"

    @OptionGroup var output: ComparisonOutput

    func run() async throws {
        let bytes: [UInt8]
        if id.hasSuffix(".json"), FileSystem.exists(id) {
            bytes = try FileSystem.readAll(id, limit: 256 << 20)
        } else {
            let secret = CompareSecret.read(keyEnv)
            let answer = try await Replay.get(
                gateway, path: "/admin/compare/\(id)", secret: secret)
            guard answer.status == 200 else {
                let error = (try? JSONValue(parsing: answer.body))?["error"]?["message"]
                throw CommandFailure(
                    "\(gateway) answered \(answer.status): "
                        + (error?.stringValue ?? "no report")
                        + (secret == nil ? " (\(keyEnv) is not set)" : ""))
            }
            bytes = answer.body
        }
        let document = try JSONValue(parsing: bytes)
        try output.show(document, name: document["model"]?.stringValue ?? id)
    }
}

/// `martlet compare replay FILE --a URL --b URL`.
struct CompareReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Ask two endpoints the same requests and compare.",
        discussion: """
            FILE has a JSON object a line: a request's body ({"model": …, "messages": […]}), or
              {"id": "7", "method": "POST", "path": "/v1/embeddings", "body": {…}}
            or OpenAI's batch form with custom_id and url.
            The status is 1 when a difference is charged to b, or b left a request unanswered.
            """)

    @Argument(help: "The file of requests, or - for standard input.")
    var file: String

    @Option(help: "The address of what serves now.")
    var a: String

    @Option(help: "The address of the candidate.")
    var b: String

    @Option(help: "The environment variable that holds a's API key.")
    var aKeyEnv = "MARTLET_A_KEY"

    @Option(help: "The environment variable that holds b's API key.")
    var bKeyEnv = "MARTLET_B_KEY"

    @Flag(help: "Ask a twice, so that what differs between its own answers is not charged to b.")
    var noise = false

    @Option(help: "Requests under way at a time.")
    var concurrency = 8

    @Option(help: "Seconds for one answer.")
    var timeout = 60

    @Option(help: "What the comparison is called; otherwise as the file.")
    var name: String?

    @OptionGroup var output: ComparisonOutput

    func validate() throws {
        guard (1...1_024).contains(concurrency) else {
            throw ValidationError("--concurrency takes 1 to 1024")
        }
        guard (1...86_400).contains(timeout) else {
            throw ValidationError("--timeout takes 1 to 86400 seconds")
        }
    }

    func run() async throws {
        let bytes =
            try file == "-" ? GatewayFile.readInput() : FileSystem.readAll(file, limit: 1 << 30)
        let requests: [ReplayRequest]
        do {
            requests = try ReplayRequest.read(bytes)
        } catch {
            throw CommandFailure("\(file): \(error)")
        }
        guard !requests.isEmpty else { throw CommandFailure("\(file) has no requests") }
        var replay = Replay(
            primary: .init(url: a, secret: CompareSecret.read(aKeyEnv)),
            candidate: .init(url: b, secret: CompareSecret.read(bKeyEnv)))
        replay.measuresNoise = noise
        replay.concurrency = concurrency
        replay.timeout = .seconds(timeout)
        let outcome = try await replay.run(requests)
        if let failure = outcome.firstFailure {
            print("\(outcome.failed) requests were not answered by a; the first: \(failure)\n")
        }
        let name = name ?? String(file.split(separator: "/").last ?? "replay")
        try output.show(
            [
                "model": .string(name), "table": .string(outcome.report.table()),
                "report": outcome.report.json,
            ], name: name)
        let isCharged = outcome.report.rows.contains(where: \.isCharged)
        if isCharged || outcome.report.failed > 0 || outcome.report.exchanges == 0 {
            throw ExitCode.failure
        }
    }
}

private enum CompareSecret {
    static func read(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }
}

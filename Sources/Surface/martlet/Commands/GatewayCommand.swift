// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletGateway
internal import MartletJSON
internal import MartletStorage
internal import MartletYAML

/// `martlet gateway`: what concerns gateway.yaml.
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Route, split, limit and watch model traffic.",
        discussion: """
            The rules are one file, gateway.yaml (Documentation/Gateway.md):
              martlet gateway --config gateway.yaml
              martlet gateway check gateway.yaml
              martlet gateway explain --config gateway.yaml --request r.json
            """,
        subcommands: [
            GatewayServeCommand.self, GatewayCheckCommand.self, GatewayExplainCommand.self,
        ],
        defaultSubcommand: GatewayServeCommand.self)
}

/// `martlet gateway check FILE`: everything that is wrong with it, by line.
struct GatewayCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a gateway.yaml; everything that is wrong is shown at once.",
        discussion: "The status is 0 when the file can be used (warnings or not), 1 when not.")

    @Argument(help: "The gateway.yaml to check.")
    var file: String

    func run() async throws {
        let bytes = try GatewayFile.read(file)
        do {
            let snapshot = try RoutingSnapshot(yaml: bytes, file: file)
            let rules = GatewayRules(file: file, snapshot: snapshot)
            print(GatewayFile.summary(snapshot, rules.warnings, file))
        } catch {
            print(GatewayFile.report(error, bytes, file))
            throw ExitCode.failure
        }
    }
}

/// `martlet gateway explain`: which rule, which version, which pool, and why.
struct GatewayExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Show where a request would go, and why.",
        discussion: """
            The request is JSON; all of it may be left out:
              {"method": "POST", "path": "/v1/chat/completions", "headers": {"x-beta": "1"},
               "user": "u-42", "session": "", "key": "", "tenant": "acme", "region": "eu",
               "device": "phone", "request": "id", "body": {"model": "small"}}
            --request - reads it from standard input.
            """)

    @Option(name: .long, help: "The gateway.yaml.")
    var config = "gateway.yaml"

    @Option(name: .long, help: "A file with the request as JSON, or - for standard input.")
    var request: String

    @Option(name: .long, help: "Stands in for the chance when a split's key is missing.")
    var draw: UInt64 = 0

    func run() async throws {
        let bytes = try GatewayFile.read(config)
        let snapshot: RoutingSnapshot
        do {
            snapshot = try RoutingSnapshot(yaml: bytes, file: config)
        } catch {
            print(GatewayFile.report(error, bytes, config))
            throw ExitCode.failure
        }
        let text = try request == "-" ? GatewayFile.readInput() : GatewayFile.read(request)
        let description: RequestDescription
        do {
            description = try RequestDescription(JSONValue(parsing: text))
        } catch {
            throw CommandFailure("\(request): \(error)")
        }
        print(snapshot.explain(description, draw: draw).text)
    }
}

/// What the commands read and print.
enum GatewayFile {
    private static let bytesMax = 16 << 20

    static func read(_ path: String) throws -> [UInt8] {
        try FileSystem.readAll(path, limit: bytesMax)
    }

    static func readInput() throws -> [UInt8] {
        var text: [UInt8] = []
        while let line = readLine(strippingNewline: false) {
            text += line.utf8
            guard text.count <= bytesMax else {
                throw CommandFailure("standard input: more than \(bytesMax) bytes")
            }
        }
        return text
    }

    static func summary(
        _ snapshot: RoutingSnapshot, _ warnings: [String], _ file: String
    ) -> String {
        let tables = snapshot.tables
        func count(_ number: Int, _ name: String) -> String {
            "\(number) \(name)\(number == 1 ? "" : "s")"
        }
        var lines = [
            "\(file) is good: "
                + [
                    count(tables.upstreams.count, "upstream"), count(tables.pools.count, "pool"),
                    count(tables.models.count, "model"),
                    count(tables.versions.count, "version"), count(tables.rules.count, "route"),
                ].joined(separator: ", ") + "."
        ]
        lines += warnings.map { "warning: \(file), \($0)" }
        return lines.joined(separator: "\n")
    }

    /// Each problem under the line that has it.
    static func report(
        _ error: GatewayConfigurationError, _ bytes: [UInt8], _ file: String
    ) -> String {
        let excerpt = ConfigurationExcerpt(bytes)
        var shown: [String] = []
        for problem in error.problems {
            shown.append("error: \(problem)")
            if let position = problem.position, let line = excerpt.line(position.line) {
                shown.append("  \(position.line) | \(line)")
            }
        }
        let count = error.problems.count
        shown.append("\(file) cannot be used: \(count) problem\(count == 1 ? "" : "s").")
        return shown.joined(separator: "\n")
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletGateway
internal import MartletStorage
internal import Testing

@Suite("Examples in the documents")
struct DocumentTests {
    static let folder =
        #filePath.split(separator: "/").dropLast(4).reduce("") { "\($0)/\($1)" } + "/Documentation/"

    /// The YAML of a document's blocks. Digests are written short there.
    private func examples(_ document: String) throws -> [String] {
        let bytes = try FileSystem.readAll(Self.folder + document, limit: 1 << 20)
        let parts = String(decoding: bytes, as: UTF8.self).split(separator: "```yaml\n").dropFirst()
        return parts.map { part in
            var text = String(
                part.prefix(upTo: part.firstRange(of: "```")?.lowerBound ?? part.endIndex))
            var number = 0
            while let mark = text.firstRange(of: "…") {
                let start =
                    text[..<mark.lowerBound].lastIndex { !$0.isHexDigit }
                    .map { text.index(after: $0) } ?? text.startIndex
                number += 1
                let digits = String(number, radix: 16)
                text.replaceSubrange(
                    start..<mark.upperBound,
                    with: String(repeating: "0", count: 64 - digits.count) + digits)
            }
            return text
        }
    }

    @Test(
        "check finds nothing in them, whether prices are required or not",
        arguments: ["Gateway.md", "Gateway-Protection.md"], [true, false])
    func examplesAreGood(document: String, isRequired: Bool) throws {
        let examples = try examples(document)
        #expect(!examples.isEmpty)
        for example in examples {
            #expect(example.contains("prices: required"))
            let text =
                isRequired
                ? example : example.replacing("prices: required", with: "prices: optional")
            do throws(GatewayConfigurationError) {
                let snapshot = try RoutingSnapshot(yaml: Array(text.utf8), file: document)
                #expect(snapshot.warnings == [])
            } catch {
                Issue.record("\(error)")
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML
internal import Testing

@Suite("YAML reader")
struct YAMLParserTests {
    @Test("a document keeps its order and says where everything stands")
    func positions() throws {
        let text = "b: 1\na:\n  - x\n  - {k: 'null'}\n"
        let root = try #require(try YAMLParser.parse(Array(text.utf8)))
        let entries = try #require(root.entries)
        #expect(entries.map(\.key) == ["b", "a"])
        let items = try #require(entries[1].value.items)
        #expect(items.map(\.position.line) == [3, 4])
        let quoted = try #require(items[1].entries?.first?.value)
        #expect(quoted.text == "null" && !quoted.isNull)
    }

    @Test(
        "what is no plain tree is refused with its line",
        arguments: [
            ("a: 1\na: 2\n", "line 2: 'a' is given twice"),
            ("a: &x 1\nb: *x\n", "line 1: anchors and tags are not allowed"),
            ("a: [1\n", "line 2"), ("---\na: 1\n---\nb: 1\n", "a second document"),
            ("? [a]\n: 1\n", "a key must be text"),
        ])
    func refusals(text: String, expected: String) {
        let error = #expect(throws: ConfigurationError.self) {
            _ = try YAMLParser.parse(Array(text.utf8))
        }
        #expect(error?.description.contains(expected) == true, "\(String(describing: error))")
    }
}

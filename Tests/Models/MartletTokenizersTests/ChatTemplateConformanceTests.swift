// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletStorage
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite(
    "Chat template conformance", .enabled(if: environment("MARTLET_TEMPLATE_CASES") != nil))
struct ChatTemplateConformanceTests {
    @Test("renders as Jinja does, and refuses what that refuses")
    func cases() throws {
        let path = try #require(environment("MARTLET_TEMPLATE_CASES"))
        let file = try JSONValue(parsing: FileSystem.readAll(path, limit: 1 << 28))
        let now = Int64(try #require(file["now"]?.intValue))
        let cases = try #require(file["cases"]?.arrayValue)
        var compared = 0
        for item in cases {
            let name = item["name"]?.stringValue ?? ""
            let source = try #require(item["source"]?.stringValue)
            let variables = try #require(item["variables"]?.objectValue)
            do throws(TemplateError) {
                let text = try ChatTemplate(source).render(variables, wallSeconds: now)
                if let expected = item["text"]?.stringValue {
                    compared += 1
                    #expect(text == expected, "\(name): \(source.prefix(300))")
                } else {
                    Issue.record(
                        "\(name): expected an error (\(item["error"] ?? "")), got \(text)")
                }
            } catch {
                if item["error"] == nil { Issue.record("\(name): \(error)\n\(source.prefix(300))") }
            }
        }
        #expect(compared > 100)
    }
}

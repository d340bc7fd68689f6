// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletJSON
internal import MartletStorage
internal import MartletTokenizers
internal import Testing

/// The folder that Conformance/encoders/make_tokenizer_cases.py wrote; without it nothing is run.
private var casesFolder: String? {
    guard let value = unsafe getenv("MARTLET_TOKENIZER_CASES") else { return nil }
    return unsafe String(cString: value)
}

@Suite("Hugging Face conformance", .enabled(if: casesFolder != nil))
struct HuggingFaceConformanceTests {
    @Test("Token ids equal Hugging Face's")
    func tokenIDs() throws {
        let root = try #require(casesFolder)
        for name in try FileSystem.list(root) {
            let folder = PathName.join(root, name)
            let tokenizer = try Tokenizer(
                parsing: try FileSystem.readAll(
                    PathName.join(folder, "tokenizer.json"), limit: 1 << 28))
            let cases = try JSONValue(
                parsing: try FileSystem.readAll(
                    PathName.join(folder, "cases.json"), limit: 1 << 30))
            var wrong = 0
            var wrongTexts = 0
            let all = try #require(cases.arrayValue)
            for item in all {
                let expected = try #require(item["ids"]?.arrayValue).compactMap(\.intValue)
                let types = try #require(item["types"]?.arrayValue).compactMap(\.intValue)
                let text = try #require(item["text"]?.stringValue)
                var truncation: Truncation?
                if let limit = item["limit"]?.intValue {
                    truncation = Truncation(
                        lengthMax: limit, side: item["direction"] == "left" ? .left : .right)
                }
                let encoding =
                    if let pair = item["pair"]?.stringValue {
                        try tokenizer.encode(text, pair: pair, truncation: truncation)
                    } else {
                        try tokenizer.encode(text, truncation: truncation)
                    }
                let isEqual =
                    encoding.ids.map(Int.init) == expected
                    && encoding.typeIDs.map(Int.init) == types
                if !isEqual {
                    wrong += 1
                    if wrong <= 5 {
                        Issue.record(
                            """
                            \(name): \(text.debugDescription) limit \(truncation?.lengthMax ?? 0)
                            expected \(expected) \(types)
                            found    \(encoding.ids) \(encoding.typeIDs)
                            """)
                    }
                }
                let decoded = try tokenizer.decode(expected.map { Int32($0) })
                let wanted = try #require(item["decoded"]?.stringValue)
                if Array(decoded.utf8) != Array(wanted.utf8) {
                    wrongTexts += 1
                    if wrongTexts <= 3 {
                        Issue.record(
                            """
                            \(name): decoding \(expected)
                            expected \(wanted.debugDescription)
                            found    \(decoded.debugDescription)
                            """)
                    }
                }
            }
            #expect(wrong == 0, "\(name): \(wrong) of \(all.count) encodings differ")
            #expect(wrongTexts == 0, "\(name): \(wrongTexts) of \(all.count) decodings differ")
        }
    }
}

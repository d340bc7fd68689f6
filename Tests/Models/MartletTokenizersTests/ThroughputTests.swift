// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletJSON
internal import MartletStorage
internal import MartletTokenizers
internal import Testing

private var casesFolder: String? {
    guard let value = unsafe getenv("MARTLET_TOKENIZER_CASES") else { return nil }
    return unsafe String(cString: value)
}

@Suite("Tokenizer throughput", .enabled(if: casesFolder != nil), .serialized)
struct ThroughputTests {
    @Test("Tokens per second of one core", arguments: ["minilm", "roberta", "llama3", "unigram"])
    func tokensPerSecond(name: String) throws {
        let folder = PathName.join(try #require(casesFolder), name)
        let bytes = try FileSystem.readAll(PathName.join(folder, "tokenizer.json"), limit: 1 << 28)
        let clock = SystemTime()
        let opening = clock.now()
        let tokenizer = try Tokenizer(parsing: bytes)
        let opened = opening.duration(to: clock.now())
        let cases = try JSONValue(
            parsing: try FileSystem.readAll(PathName.join(folder, "cases.json"), limit: 1 << 30))
        let texts = try #require(cases.arrayValue).compactMap { $0["text"]?.stringValue }
        var tokens = 0
        let start = clock.now()
        while start.duration(to: clock.now()) < .milliseconds(500) {
            for text in texts { tokens += try tokenizer.encode(text).count }
        }
        let seconds = Double(start.duration(to: clock.now()).nanosecondsSaturating) / 1e9
        let rate = Int(Double(tokens) / seconds)
        print("\(name): \(rate) tokens/s of fuzzed text, opened in \(opened)")
        for run in ["a", "!", " ", "漢", "e\u{301}"] {
            let long = String(repeating: run, count: 2_000_000 / run.utf8.count)
            let start = clock.now()
            let count = try tokenizer.encode(long).count
            let taken = start.duration(to: clock.now())
            print("\(name): 2 MB of \(run.debugDescription): \(count) tokens in \(taken)")
        }
        #expect(rate > 50_000)
    }
}

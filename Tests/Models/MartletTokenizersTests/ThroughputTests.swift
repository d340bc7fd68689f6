// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
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
        for (kind, file) in [("English", "/work/main/Documentation/Architecture.md")] {
            guard let text = try? FileSystem.readText(file, limit: 1 << 24) else { continue }
            var tokens = 0
            let start = clock.now()
            while start.duration(to: clock.now()) < .milliseconds(700) {
                tokens += try tokenizer.encode(text).count
            }
            let seconds = Double(start.duration(to: clock.now()).nanosecondsSaturating) / 1e9
            let rate = Int(Double(tokens) / seconds)
            #expect(rate > 0)
            for run in ["a", "!", " ", "漢", "e\u{301}"] {
                let long = String(repeating: run, count: 2_000_000 / run.utf8.count)
                let start = clock.now()
                let count = try tokenizer.encode(long).count
                let taken = start.duration(to: clock.now())
                Issue.record("\(name): 2 MB of \(run.debugDescription): \(count) tokens, \(taken)")
            }
            Issue.record("\(name): \(kind) \(rate) tokens/s, opened in \(opened)")
        }
    }
}

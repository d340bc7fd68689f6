// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletTokenizers
internal import Testing

@Suite("Byte-pair encoding")
struct BytePairEncodingTests {
    @Test("Pairs join in the order of the merges, the leftmost first")
    func mergeOrder() throws {
        let tokenizer = try TokenizerFiles.load(
            TokenizerFiles.byteLevel(merges: [("b", "c"), ("a", "b"), ("ab", "c"), ("c", "c")]))
        let ids = try tokenizer.encode("abcabccc").ids
        let tokens = ids.map { tokenizer.content(of: Int($0)) }
        #expect(tokens == ["a", "bc", "a", "bc", "cc"])
    }

    @Test("Any text comes back from its tokens")
    func roundTrip() throws {
        let tokenizer = try TokenizerFiles.load(
            TokenizerFiles.byteLevel(merges: [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ã", "©")]))
        for text in ["the café  the\n\tthe", "漢字 👩‍👩‍👧 don't", "", " ", "1234 x9"] {
            let ids = try tokenizer.encode(text).ids
            #expect(try tokenizer.decode(ids) == text)
        }
        let ids = try tokenizer.encode("a the").ids
        #expect(ids.map { tokenizer.content(of: Int($0)) } == ["a", " the"])
    }

    @Test("The heap and the plain search agree on words of every length")
    func longAndShortWordsAgree() throws {
        let merges = [
            ("a", "a"), ("aa", "aa"), ("a", "b"), ("b", "a"), ("ab", "ab"), ("aaaa", "b"),
            ("b", "b"), ("ba", "bb"), ("aa", "b"),
        ]
        let tokenizer = try TokenizerFiles.load(TokenizerFiles.byteLevel(merges: merges))
        var random = SeededRandom(seed: 7)
        for length in 1...120 {
            let word = String((0..<length).map { _ in Bool.random(using: &random) ? "a" : "b" })
            let ids = try tokenizer.encode(word).ids
            let found = ids.map { tokenizer.content(of: Int($0)) ?? "" }
            #expect(found == Self.merged(word, merges), "length \(length)")
        }
    }

    /// The definition: join the pair of lowest rank, leftmost first, until none is left.
    private static func merged(_ word: String, _ merges: [(String, String)]) -> [String] {
        var parts = word.map { String($0) }
        while true {
            var best: (rank: Int, place: Int)?
            for place in parts.indices.dropLast() {
                guard
                    let rank = merges.firstIndex(where: { $0 == (parts[place], parts[place + 1]) })
                else { continue }
                if rank < best?.rank ?? Int.max { best = (rank, place) }
            }
            guard let best else { return parts }
            parts[best.place] += parts.remove(at: best.place + 1)
        }
    }

    @Test("Two megabytes of one word are merged in n log n")
    func longWord() throws {
        let tokenizer = try TokenizerFiles.load(
            TokenizerFiles.byteLevel(merges: [("a", "a"), ("aa", "aa"), ("aaaa", "aaaa")]))
        let ids = try tokenizer.encode(String(repeating: "a", count: 2_000_000)).ids
        #expect(ids.count == 250_000)
    }

    @Test("Whole words skip the merges where the model says so")
    func ignoresMerges() throws {
        let merges = [("a", "b"), ("b", "c"), ("bc", "d"), ("a", "bcd")]
        let plain = try TokenizerFiles.load(TokenizerFiles.byteLevel(merges: merges))
        let whole = try TokenizerFiles.load(
            TokenizerFiles.byteLevel(merges: merges, model: #","ignore_merges":true"#))
        #expect(try plain.encode("abcd").count == 3)
        #expect(try whole.encode("abcd").count == 1)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("Comparison")
struct CompareTests {
    private func differences(
        _ before: String, _ after: String, _ options: JSONComparison.Options = .init()
    ) throws -> [String] {
        let comparison = JSONComparison(
            try JSONValue(parsing: before), try JSONValue(parsing: after), options: options)
        return comparison.differences.map { difference in
            "\(difference.kind.rawValue) \(difference.path) "
                + "\(difference.before.map { "\($0)" } ?? "-") \(difference.after.map { "\($0)" } ?? "-")"
        }
    }

    @Test(
        "every kind of difference is found at its path",
        arguments: [
            (#"{"a": 1}"#, #"{"a": 1}"#, []),
            (#"{"a": 1, "b": 2}"#, #"{"b": 2, "a": 1}"#, []),
            (#"{"a": 1}"#, #"{"a": 2}"#, ["changed $.a 1 2"]),
            (#"{"a": 1}"#, #"{"a": "1"}"#, [#"type changed $.a 1 "1""#]),
            (#"{"a": 1}"#, #"{"b": 1}"#, ["removed $.a 1 -", "added $.b - 1"]),
            (
                #"{"a b": [1, {"c": 2}]}"#, #"{"a b": [1, {"c": 3}]}"#,
                [#"changed $["a b"][1].c 2 3"#]
            ),
            ("[1, 2, 3]", "[1, 9, 2, 3]", ["added $[1] - 9"]),
            ("[1, 2, 3]", "[1, 3]", ["removed $[1] 2 -"]),
            ("[1, 2]", "[]", ["removed $[0] 1 -", "removed $[1] 2 -"]),
            (
                "9007199254740993", "9007199254740992",
                ["changed $ 9007199254740993 9007199254740992"]
            ),
            ("1.0", "1", []), ("null", "false", ["type changed $ null false"]),
        ])
    func structure(before: String, after: String, expected: [String]) throws {
        #expect(try differences(before, after) == expected)
    }

    @Test("ignored paths and tolerances are kept to, and the number of differences is bounded")
    func options() throws {
        var options = JSONComparison.Options()
        options.ignored = ["$.id", "$.items[*].at"]
        options.relativeTolerance = 0.01
        #expect(
            try differences(
                #"{"id": {"x": 1}, "items": [{"at": 1, "v": 100}]}"#,
                #"{"id": {"x": 2}, "items": [{"at": 2, "v": 100.5}]}"#, options) == [])
        options.differencesMax = 3
        let many = JSONComparison(
            .array((0..<50).map { .integer($0) }), .array((100..<150).map { .integer($0) }),
            options: options)
        #expect(many.differences.count == 3 && many.isCutOff)
    }

    @Test(
        "text distances are Levenshtein's, by words and by characters",
        arguments: [
            ("", "", 0, 0), ("kitten", "sitting", 1, 3), ("a b c", "a c", 1, 2),
            ("the cat sat", "the dog sat", 1, 3), ("", "two words", 2, 9),
            ("flaw", "lawn", 1, 2), ("über", "uber", 1, 1),
        ])
    func texts(before: String, after: String, words: Int, characters: Int) {
        let distance = TextDistance(before, after)
        #expect(distance.words == words && distance.characters == characters)
        #expect(distance.isExact)
    }

    @Test(
        "the banded distance agrees with the plain one, and long texts are cut off, not waited for")
    func bandedDistance() {
        var random = SeededRandom(seed: 5)
        for seed in 0..<300 {
            let before = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                Int.random(in: 0...3, using: &random)
            }
            var after = before
            for _ in 0..<Int.random(in: 0...30, using: &random) {
                let place = Int.random(in: 0...after.count, using: &random)
                if place < after.count, Bool.random(using: &random) {
                    after.remove(at: place)
                } else {
                    after.insert(Int.random(in: 0...3, using: &random), at: place)
                }
            }
            let text = before.map(String.init).joined()
            let other = after.map(String.init).joined()
            let distance = TextDistance(text, other)
            #expect(distance.characters == CompareTests.plain(before, after), "\(seed)")
        }
        let long = String(repeating: "abcdefghij", count: 20_000)
        let far = String(repeating: "0123456789", count: 20_000)
        let distance = TextDistance(long, far)
        #expect(!distance.isExact && distance.characters > 8)
    }

    private static func plain(_ one: [Int], _ other: [Int]) -> Int {
        var previous = Array(0...other.count)
        for (row, value) in one.enumerated() {
            var current = [row + 1]
            for (column, wanted) in other.enumerated() {
                current.append(
                    min(
                        previous[column] + (value == wanted ? 0 : 1), previous[column + 1] + 1,
                        current[column] + 1))
            }
            previous = current
        }
        return previous[other.count]
    }

    private func compared<Scalar: BinaryFloatingPoint>(
        _ before: [Scalar], _ after: [Scalar]
    ) -> TensorComparison? {
        TensorComparison(before.span, after.span)
    }

    @Test("tensors are compared as numpy's allclose does, with direction")
    func tensors() throws {
        let one: [Float] = [1, 2, 3, .nan, .infinity]
        let same = try #require(compared(one, one))
        #expect(same.isWithin && same.absoluteMax == 0 && same.cosine == nil)
        let near: [Float] = [1, 2.00001, 3]
        let base: [Float] = [1, 2, 3]
        let close = try #require(compared(base, near))
        #expect(close.isWithin && close.relativeMax > 1e-6)
        let off: [Float] = [1, .nan, -3]
        let bad = try #require(compared(base, off))
        #expect(bad.outside == 2 && bad.firstOutside == 1)
        let double: [Double] = [2, 4, 6]
        let unit: [Double] = [1, 2, 3]
        let scaled = try #require(compared(unit, double))
        #expect(scaled.outside == 3 && abs((scaled.cosine ?? 0) - 1) < 1e-12)
        #expect(compared(base, one) == nil)
        let infinite: [Float] = [.infinity, 2, 3]
        let gone = try #require(compared(infinite, base))
        #expect(gone.outside == 1)
    }

    @Test("what the primary does to itself is not charged to the candidate")
    func noise() throws {
        var random = SeededRandom(seed: 6)
        var report = ComparisonReport()
        for index in 0..<400 {
            func answer(_ isCandidate: Bool) -> JSONValue {
                [
                    "id": .integer(Int64.random(in: 0...1_000_000, using: &random)),
                    "text": .string(Bool.random(using: &random) ? "yes" : "no"),
                    "score": .number(isCandidate && index % 4 == 0 ? 0.5 : 0.25),
                ]
            }
            let primary = answer(false)
            var exchange = ExchangeComparison(
                id: "r\(index)", primaryLatency: .milliseconds(10),
                candidateLatency: .milliseconds(20))
            exchange.differences = JSONComparison(primary, answer(true)).differences
            exchange.noise = JSONComparison(primary, answer(false)).differences
            exchange.text = TextDistance("a b", index == 7 ? "x y" : "a b")
            report.add(exchange)
        }
        let charged = report.rows.filter(\.isCharged).map(\.pattern)
        #expect(charged == ["$.score"])
        #expect(Set(report.rows.map(\.pattern)) == ["$.score", "$.id", "$.text"])
        #expect(report.worst.first?.id == "r7")
        let table = report.table()
        #expect(table.contains("400 exchanges, 0 without a difference; noise measured in 400"))
        #expect(table.contains("latency  primary 10.0 ms, candidate 20.0 ms"))
        #expect(table.contains("$.score     25.0 %     0.0 %      yes  changed"), "\(table)")
        #expect(report.json["paths"]?[0]?["path"] == "$.score")
    }

    @Test("a report that was kept is the report, and goes on as it would have")
    func kept() throws {
        var report = ComparisonReport()
        func add(_ index: Int, to report: inout ComparisonReport) {
            var exchange = ExchangeComparison(
                id: "r\(index)", primaryLatency: .microseconds(10 + index),
                candidateLatency: .milliseconds(20))
            exchange.differences =
                JSONComparison(
                    ["a": .integer(Int64(index)), "b": [1], "c": .null],
                    ["a": "x", "b": [1, 2], "d": .null]
                ).differences
            exchange.noise = index % 2 == 0 ? [] : nil
            exchange.text = TextDistance("a b c", "a x c")
            exchange.code = [CodeComparison("x = 1", "x = 2", language: "python")]
            exchange.tensors = []
            exchange.primaryTokens = 5
            exchange.candidateCost = 7
            exchange.primaryFirstByte = .microseconds(3)
            exchange.candidateFirstByte = .microseconds(4)
            exchange.request = "ask \(index)"
            report.add(exchange)
        }
        for index in 0..<40 { add(index, to: &report) }
        let text = report.state.serialized()
        var again = try #require(ComparisonReport(state: try JSONValue(parsing: text)))
        #expect(again.json == report.json)
        #expect(again.table() == report.table())
        add(40, to: &report)
        add(40, to: &again)
        #expect(again.json == report.json)
        #expect(again.table() == report.table())
    }

    @Test("what is no kept report is refused, and what is too large is cut")
    func notKept() throws {
        for text in ["[]", "1", "{}", #"{"exchanges": -1}"#, #"{"exchanges": "2"}"#] {
            #expect(ComparisonReport(state: try JSONValue(parsing: text)) == nil, "\(text)")
        }
        guard case .object(var state) = ComparisonReport().state else { return }
        var paths = JSONObject()
        for index in 0..<(ComparisonReport.patternsMax + 100) {
            paths["$.p\(index)"] = [
                "candidate": 1, "kinds": ["changed", "bent"],
                "example": ["kind": "changed", "path": "$.p"],
            ]
        }
        state["paths"] = .object(paths)
        state["worst"] = .array(
            Array(repeating: ["id": "x", "severity": 1], count: 1_000))
        let report = try #require(ComparisonReport(state: .object(state)))
        #expect(report.rows.count == ComparisonReport.patternsMax)
        #expect(report.worst.count == ComparisonReport.worstMax)
    }

    @Test("requests that the candidate gave no answer to are told with their reasons, and kept")
    func failures() throws {
        var report = ComparisonReport()
        #expect(report.json["failures"] == nil && !report.table().contains("no answer"))
        report.addFailure("no answer within 1 s")
        report.addFailure("no answer within 1 s")
        report.addFailure("refused")
        #expect(report.failed == 3 && report.exchanges == 0)
        #expect(report.json["failures"] == ["no answer within 1 s": 2, "refused": 1])
        let table = report.table()
        #expect(table.contains("the candidate gave no answer to 3 more requests"), "\(table)")
        #expect(table.contains("  2 × no answer within 1 s\n  1 × refused"), "\(table)")
        let page = ComparisonPage.html(report.json, name: "m")
        #expect(page.contains("2 × no answer within 1 s; 1 × refused"))
        let again = try #require(ComparisonReport(state: report.state))
        #expect(again.json == report.json)
        for index in 0..<1_000 { report.addFailure("reason \(index)") }
        #expect(report.failures.count == ComparisonReport.reasonsMax + 1)
        #expect(report.failed == 1_003)
    }
}

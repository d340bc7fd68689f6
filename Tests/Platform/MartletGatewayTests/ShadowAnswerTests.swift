// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("Streams, tool calls and tensors compared")
struct ShadowAnswerTests {
    private func stream(_ events: [String]) -> [UInt8] {
        Array(events.map { "data: \($0)\r\n\r\n" }.joined().utf8)
    }

    private func assemble(_ bytes: [UInt8], cut: Int) -> StreamAssembler {
        var assembler = StreamAssembler()
        var start = 0
        while start < bytes.count {
            let end = min(start + cut, bytes.count)
            unsafe bytes[start..<end].withUnsafeBytes { unsafe assembler.read($0) }
            start = end
        }
        return assembler
    }

    static let events = [
        #"{"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"He"}}]}"#,
        #"{"choices":[{"index":0,"delta":{"content":"llo"}},{"index":1,"delta":{"content":"x"}}]}"#,
        #"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"find","arguments":"{\"a\""}}]}}]}"#,
        #"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":": 1}"}}]}}]}"#,
        #"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        #"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#, "[DONE]",
    ]

    @Test("a stream is put together as the answer it would have been", arguments: [1, 7, 4_096])
    func assembles(cut: Int) {
        let found = assemble(stream(Self.events), cut: cut)
        let document = found.document
        #expect(found.isWhole && found.eventCount == 7 && document["cut"] == nil)
        #expect(document["choices"]?[0]?["message"]?["content"] == "Hello")
        #expect(document["choices"]?[1]?["message"]?["content"] == "x")
        let call = document["choices"]?[0]?["message"]?["tool_calls"]?[0]?["function"]
        #expect(call?["name"] == "find" && call?["arguments"] == #"{"a": 1}"#)
        #expect(document["choices"]?[0]?["finish_reason"] == "tool_calls")
        #expect(document["usage"]?["completion_tokens"] == 4)
    }

    @Test("hostile streams stay within bounds")
    func bounds() {
        let long = "data: " + String(repeating: "x", count: 100_000)
        #expect(assemble(Array(long.utf8), cut: 1_000).isTooLong)
        let text = String(repeating: "y", count: 30_000)
        let many = stream(
            Array(
                repeating: #"{"choices":[{"index":0,"delta":{"content":"\#(text)"}}]}"#, count: 20))
        #expect(assemble(many, cut: 10_000).isTooLong)
        for index in ["-1", "128", "1000000000"] {
            let wild = stream([#"{"choices":[{"index":\#(index),"delta":{"content":"x"}}]}"#])
            #expect(assemble(wild, cut: 64).isTooLong)
        }
        #expect(!assemble(stream(["{", "7", "[]", "null", "{}"]), cut: 3).isTooLong)
        #expect(assemble(stream([Self.events[0]]), cut: 9).document["cut"] == true)
    }

    private func chat(_ call: String, id: String) -> ComparedAnswer {
        ComparedAnswer(
            status: 200,
            body: Array(
                (#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"\#(id)","type":"function","function":"#
                    + call + "}]}}]}").utf8),
            latency: .zero)
    }

    @Test("tool calls go by name and arguments, not by ids or by how the arguments are written")
    func calls() {
        func paths(_ one: String, _ other: String) -> [String] {
            AnswerComparison.compare(
                id: "1", primary: chat(one, id: "a"), candidate: chat(other, id: "b")
            ).differences.map(\.path)
        }
        let first = #"{"name":"f","arguments":"{\"x\": 1, \"y\":2}"}"#
        #expect(paths(first, #"{"name":"f","arguments":"{\"y\":2,\"x\":1}"}"#) == [])
        #expect(
            paths(first, #"{"name":"f","arguments":"{\"y\":2,\"x\":3}"}"#)
                == ["$.choices[0].message.tool_calls[0].arguments.x"])
        #expect(
            paths(first, #"{"name":"g","arguments":"{\"x\": 1, \"y\":2}"}"#)
                == ["$.choices[0].message.tool_calls[0].name"])
    }

    @Test("streamed and whole answers of the same content are equal")
    func streamedAndWhole() {
        let document = assemble(stream(Self.events), cut: 50).document
        let streamed = ComparedAnswer(
            status: 200, body: [], latency: .milliseconds(5), firstByte: .milliseconds(1),
            document: document)
        let result = AnswerComparison.compare(id: "1", primary: streamed, candidate: streamed)
        #expect(result.differences.isEmpty && result.primaryTokens == 7)
        #expect(result.primaryFirstByte == .milliseconds(1))
    }

    @Test("binary tensors are read behind their JSON, by name")
    func binary() {
        func answer(_ values: [Float], _ other: [UInt8]) -> ComparedAnswer {
            var bytes: [UInt8] = []
            for value in values {
                for shift in 0..<4 {
                    bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * shift)))
                }
            }
            let header =
                #"{"outputs":[{"name":"A","datatype":"FP32","shape":[2],"parameters":"#
                + #"{"binary_data_size":\#(bytes.count)}},{"name":"B","datatype":"UINT8","#
                + #""shape":[1],"parameters":{"binary_data_size":\#(other.count)}}]}"#
            return ComparedAnswer(
                status: 200, body: Array(header.utf8) + bytes + other, latency: .zero,
                headerLength: header.utf8.count)
        }
        let same = AnswerComparison.compare(
            id: "1", primary: answer([1, 2], [7]), candidate: answer([1, 2.000_001], [7]))
        #expect(same.differences.isEmpty && same.tensors.count == 2)
        let other = AnswerComparison.compare(
            id: "1", primary: answer([1, 2], [7]), candidate: answer([1, 3], [8]))
        #expect(other.differences.map(\.path) == ["$.outputs.A", "$.outputs.B"])
        #expect(other.tensors.map(\.outside) == [1, 1])
        // Sizes that lie are no crash.
        let lying = ComparedAnswer(
            status: 200,
            body: Array(
                #"{"outputs":[{"name":"A","datatype":"FP32","parameters":{"binary_data_size":99}}]}"#
                    .utf8), latency: .zero, headerLength: 5_000)
        #expect(
            AnswerComparison.compare(id: "1", primary: lying, candidate: lying).differences.isEmpty)
    }

    @Test("tensors of JSON and binary answers, halves and base64 embeddings")
    func forms() {
        let json = ComparedAnswer(
            status: 200,
            body: Array(#"{"outputs":[{"name":"A","data":[[1.0,-2.0],[0.5,65504]]}]}"#.utf8),
            latency: .zero)
        let halves: [UInt8] = [0x00, 0x3C, 0x00, 0xC0, 0x00, 0x38, 0xFF, 0x7B]
        let header =
            #"{"outputs":[{"name":"A","datatype":"FP16","parameters":{"binary_data_size":8}}]}"#
        let binary = ComparedAnswer(
            status: 200, body: Array(header.utf8) + halves, latency: .zero,
            headerLength: header.utf8.count)
        let result = AnswerComparison.compare(id: "1", primary: json, candidate: binary)
        #expect(result.tensors.map(\.outside) == [0] && result.tensors.first?.cosine == 1)
        func embedding(_ value: String) -> ComparedAnswer {
            ComparedAnswer(
                status: 200, body: Array(#"{"data":[{"embedding":\#(value)}]}"#.utf8),
                latency: .zero)
        }
        // struct.pack("<2f", 1, -2.5) in base64.
        let coded = AnswerComparison.compare(
            id: "1", primary: embedding("[1.0,-2.5]"), candidate: embedding(#""AACAPwAAIMA=""#))
        #expect(coded.differences.isEmpty && coded.tensors.count == 1)
    }

    @Test("code that only changed its layout is not charged; a report shows the worst cases")
    func report() {
        func answer(_ code: String) -> ComparedAnswer {
            var writer = JSONObject()
            writer["choices"] = [["message": ["content": .string("ok\n```python\n\(code)\n```")]]]
            return ComparedAnswer(
                status: 200, body: JSONValue.object(writer).serialized(), latency: .milliseconds(3))
        }
        var report = ComparisonReport()
        report.add(
            AnswerComparison.compare(
                id: "same", primary: answer("x = 1"), candidate: answer("x=1 # one")))
        #expect(report.equalExchanges == 1 && report.worst.isEmpty)
        report.add(
            AnswerComparison.compare(
                id: "bad<1>", primary: answer("x = 1"), candidate: answer("x = 2"),
                request: Array(repeating: 0x61, count: 100_000)))
        #expect(report.codeBlocks == 2 && report.codeDiffering == 1)
        #expect(report.worst.map(\.id) == ["bad<1>"])
        #expect((report.worst.first?.request.utf8.count ?? 0) < 9_000)
        let page = ComparisonPage.html(report.json, name: "m & <n>")
        #expect(page.contains("m &amp; &lt;n&gt;") && page.contains("bad&lt;1&gt;"))
        #expect(!page.contains("bad<1>") && page.contains("literal changed"))
        #expect(!page.contains("http://") && !page.contains("https://"), "self-contained")
        #expect(ComparisonPage.html([], name: "").contains("</html>"))
        #expect(report.table().contains("code     1 of 2 blocks differ"))
    }
}

@Suite("ReplayRequest")
struct ReplayRequestTests {
    @Test("bodies, requests and batch lines are read; others are refused by their line")
    func lines() throws {
        let text = #"""
            {"model":"m","messages":[]}

            {"id":7,"path":"/v1/embeddings","body":{"input":"a"}}
            {"custom_id":"x","method":"GET","url":"/v1/models"}
            """#
        let found = try ReplayRequest.read(Array(text.utf8))
        #expect(found.map(\.id) == ["line 1", "7", "x"])
        #expect(found.map(\.path) == ["/v1/chat/completions", "/v1/embeddings", "/v1/models"])
        #expect(found.map(\.method) == ["POST", "POST", "GET"])
        #expect(found[1].body == Array(#"{"input":"a"}"#.utf8) && found[2].body.isEmpty)
        let wrong: [(String, String)] = [
            ("{", "line 1: no JSON"), ("[]", "object"), ("{}", "path"),
            (#"{"path":"x"}"#, "path begins"), (#"{"path":"/a\r\nX: y"}"#, "no request"),
            (#"{"path":"/a","method":"GET / HTTP/1.1"}"#, "no request"),
        ]
        for (line, part) in wrong {
            do throws(ReplayFileError) {
                _ = try ReplayRequest.read(Array(line.utf8))
                Issue.record("\(line) was taken")
            } catch {
                #expect(error.message.contains(part), "\(line): \(error)")
            }
        }
    }

    @Test("changed files are read or refused", arguments: [1, 2])
    func hostile(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let good = Array(#"{"id":"7","method":"POST","path":"/v1/x","body":{"a":[1]}}"#.utf8)
        for _ in 0..<3_000 {
            var bytes = good + [0x0A] + good
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                    in: .min ... .max, using: &random)
            }
            for request in (try? ReplayRequest.read(bytes)) ?? [] {
                #expect(
                    !request.path.utf8.contains { $0 <= 0x20 } && !request.method.isEmpty,
                    "seed \(seed)")
            }
        }
    }
}

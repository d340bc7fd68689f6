// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTelemetry
internal import Testing

@Suite("Log lines")
struct LogLineTests {
    @Test("JSON lines escape what a client could use to forge a line")
    func json() {
        let line = LogLine.json(
            time: "t", level: "info", label: "l", message: "a\"b\nc\u{1B}[31m",
            fields: [("request_id", "x\\y")])
        #expect(
            line
                == "{\"time\":\"t\",\"level\":\"info\",\"logger\":\"l\","
                + "\"message\":\"a\\\"b\\nc\\u001b[31m\",\"request_id\":\"x\\\\y\"}\n")
    }

    @Test("pretty lines stay on one line")
    func pretty() {
        let line = LogLine.pretty(
            time: "t", level: "warning", message: "one\ntwo", fields: [("k", "v w"), ("n", "1")])
        #expect(line == "t warning  one\\ntwo  k=\"v w\"  n=1\n")
    }

    @Test("time stamps are padded")
    func timestamp() {
        #expect(
            LogLine.timestamp(secondsSinceEpoch: 1_767_323_045, milliseconds: 6)
                == "2026-01-02T03:04:05.006Z")
        #expect(
            LogLine.timestamp(secondsSinceEpoch: 951_782_400, milliseconds: 0)
                == "2000-02-29T00:00:00.000Z")
    }
}

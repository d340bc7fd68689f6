// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletTesting
internal import Testing

@Suite("JSON fuzz")
struct JSONFuzzTests {
    private static let seeds = [
        #"{"id":"42","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1.5,2],[3e-4,-4]]}]}"#,
        #"["\ud83d\ude00 é漢","\\\"\n",true,false,null,{},[],-0.0,123456789012345678901234567890]"#,
        #"{"a":{"b":{"c":[[[[]]]]}},"long":"abcdefghijklmnopqrstuvwxyz0123456789"}"#,
        "[1.25,-3e-7,0.1,123456789.123456789,5e-324,1.7976931348623157e308]",
    ].map { Array($0.utf8) }

    @Test("skipping accepts exactly what parsing accepts, and what is written parses to the same")
    func documents() {
        fuzz("JSON document", seeds: JSONFuzzTests.seeds) { text in
            let skipped = unsafe text.withUnsafeBytes { bytes -> Bool in
                var scanner = unsafe JSONScanner(bytes)
                do {
                    try scanner.skipValue()
                    try scanner.finish()
                    return true
                } catch { return false }
            }
            let parsed: JSONValue
            do throws(JSONError) {
                parsed = try JSONValue(parsing: text)
            } catch {
                // Numbers too great for a double are only found by those who make values.
                #expect(!skipped || error.code == .outOfRange, "\(text)")
                throw error
            }
            #expect(skipped, "\(text)")
            #expect(try JSONValue(parsing: parsed.serialized()) == parsed, "\(text)")
        }
    }

    @Test("arrays are read within their memory, whatever the text")
    func arrays() {
        let kinds: [JSONNumberKind] = [.float32, .float64, .int8, .uint64, .bool]
        var turn = 0
        fuzz("JSON array", seeds: JSONFuzzTests.seeds + [Array("[[1,2],[3,4]]".utf8)]) { text in
            turn += 1
            var memory = InlineArray<9, UInt64>(repeating: 0xAAAA_AAAA_AAAA_AAAA)
            defer { #expect(memory[8] == 0xAAAA_AAAA_AAAA_AAAA) }
            try unsafe text.withUnsafeBytes { bytes in
                var scanner = unsafe JSONScanner(bytes)
                _ = try unsafe withUnsafeMutableBytes(of: &memory) {
                    try unsafe scanner.readNumbers(
                        into: UnsafeMutableRawBufferPointer(rebasing: $0[..<64]),
                        as: kinds[turn % kinds.count])
                }
            }
        }
    }
}

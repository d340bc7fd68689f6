// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletJSON
internal import Testing

@Suite("JSON under mutation")
struct JSONFuzzTests {
    private static let seeds = [
        #"{"id":"42","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1.5,2],[3e-4,-4]]}]}"#,
        #"["\ud83d\ude00 é漢","\\\"\n",true,false,null,{},[],-0.0,123456789012345678901234567890]"#,
        #"{"a":{"b":{"c":[[[[]]]]}},"long":"abcdefghijklmnopqrstuvwxyz0123456789"}"#,
    ]

    private func mutate(_ text: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = text
        for _ in 0..<1 + random.next() % 4 {
            guard !bytes.isEmpty else { break }
            let place = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 6 {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes[place] ^= 1 << UInt8(random.next() % 8)
            case 2: bytes.remove(at: place)
            case 3:
                bytes.insert(
                    Array("[]{}\",:\\0-.eEu".utf8).randomElement(using: &random) ?? 0, at: place)
            case 4: bytes.removeLast(min(bytes.count, Int(random.next() % 20)))
            default:
                let end = min(bytes.count, place + Int(random.next() % 12))
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
            }
        }
        return bytes
    }

    @Test("never crashes; skipping accepts exactly what parsing accepts; output parses again")
    func mutations() throws {
        let seed: UInt64 = 0x5EED_0001
        var random = SeededRandom(seed: seed)
        for round in 0..<60_000 {
            let text = mutate(Array(JSONFuzzTests.seeds[round % 3].utf8), &random)
            let parsed = try? JSONValue(parsing: text)
            let skipped = unsafe text.withUnsafeBytes { bytes -> Bool in
                var scanner = unsafe JSONScanner(bytes)
                do {
                    try scanner.skipValue()
                    try scanner.finish()
                    return true
                } catch { return false }
            }
            if parsed != nil {
                #expect(skipped, "seed \(seed) round \(round)")
            } else if skipped {
                // The one thing that only making values finds: numbers too great for a double.
                let text = String(decoding: text, as: UTF8.self)
                #expect(text.contains(where: { $0 == "e" || $0 == "E" }), "round \(round): \(text)")
            }
            if let parsed {
                let again = try JSONValue(parsing: parsed.serialized())
                #expect(again == parsed, "seed \(seed) round \(round)")
            }
            _ = unsafe text.withUnsafeBytes { bytes in
                var scanner = unsafe JSONScanner(bytes)
                var memory = InlineArray<8, Float>(repeating: 0)
                return unsafe withUnsafeMutableBytes(of: &memory) {
                    unsafe try? scanner.readNumbers(into: $0, as: .float32)
                }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
package import MartletJSON

/// What one request used.
package struct TokenUsage: Sendable, Hashable {
    package var input: Int
    package var output: Int
    /// Counted here, because the upstream did not say.
    package var isEstimated: Bool

    package init(input: Int, output: Int, isEstimated: Bool = false) {
        self.input = input
        self.output = output
        self.isEstimated = isEstimated
    }

    package var total: Int {
        let (sum, overflow) = input.addingReportingOverflow(output)
        return overflow ? Int.max : sum
    }

    /// Tokens in so many bytes of text, when nobody counts them: four bytes a token is what
    /// English text comes to with common tokenizers.
    package static func estimate(bytes: Int) -> Int { bytes <= 0 ? 0 : (bytes + 3) / 4 }

    /// Reads OpenAI's `usage` object (also `input_tokens`, `output_tokens`); nil when it is none.
    package init?(json: JSONValue) {
        guard json.objectValue != nil else { return nil }
        let input = (json["prompt_tokens"] ?? json["input_tokens"])?.intValue
        let output = (json["completion_tokens"] ?? json["output_tokens"])?.intValue
        guard input != nil || output != nil, (input ?? 0) >= 0, (output ?? 0) >= 0 else {
            return nil
        }
        self.init(input: input ?? 0, output: output ?? 0)
    }

    /// Reads the same out of text; nothing is allocated.
    package init?(text: [UInt8]) {
        let found = unsafe text.withUnsafeBytes { unsafe TokenUsage(bytes: $0) }
        guard let found else { return nil }
        self = found
    }

    /// Reads the same out of bytes.
    package init?(bytes: UnsafeRawBufferPointer) {
        let members = unsafe FlatUsage.read(bytes) ?? TokenUsage.members(bytes)
        guard let (input, output) = members, input != nil || output != nil, (input ?? 0) >= 0,
            (output ?? 0) >= 0
        else { return nil }
        self.init(input: input ?? 0, output: output ?? 0)
    }

    private static func members(
        _ bytes: UnsafeRawBufferPointer
    ) -> (input: Int?, output: Int?)? {
        var input: Int?
        var output: Int?
        var scanner = unsafe JSONScanner(bytes)
        do throws(JSONError) {
            guard try scanner.peek() == .object else { return nil }
            try scanner.beginObject()
            while let key = try scanner.nextKey() {
                let isInput = key == "prompt_tokens" || key == "input_tokens"
                let isOutput = key == "completion_tokens" || key == "output_tokens"
                guard isInput || isOutput, try scanner.peek() == .number else {
                    try scanner.skipValue()
                    continue
                }
                let value = try scanner.readInt()
                if isInput { input = value } else { output = value }
            }
            return (input, output)
        } catch { return nil }
    }
}

/// Reads a `usage` object as most servers write it: nothing but short names and whole numbers.
/// Whatever else it may be is left to the JSON scanner.
private enum FlatUsage {
    /// nil: it is something else, or no JSON.
    static func read(
        _ bytes: UnsafeRawBufferPointer
    ) -> (input: Int?, output: Int?)? {
        guard let start = bytes.baseAddress else { return nil }
        let text = unsafe TextBytes(start, bytes.count)
        var place = 0
        guard next(text, &place) == UInt8(ascii: "{") else { return nil }
        var input: Int?
        var output: Int?
        while true {
            guard next(text, &place) == TextBytes.quote else { return nil }
            let start = place
            guard let quote = text.nearQuote(from: place) ?? text.plainQuote(from: place) else {
                return nil
            }
            let name = unsafe text.slice(start..<quote)
            place = quote + 1
            guard next(text, &place) == UInt8(ascii: ":"), let value = number(text, &place) else {
                return nil
            }
            switch name.count {
            case 12 where unsafe matches(name, "input_tokens"): input = value
            case 13 where unsafe matches(name, "prompt_tokens"): input = value
            case 13 where unsafe matches(name, "output_tokens"): output = value
            case 17 where unsafe matches(name, "completion_tokens"): output = value
            default:
                // An escape may make one of them of it.
                guard unsafe name.allSatisfy(isPlain) else { return nil }
            }
            switch next(text, &place) {
            case UInt8(ascii: ",")?: continue
            case UInt8(ascii: "}")?: return (input, output)
            default: return nil
            }
        }
    }

    /// The next byte that is no space.
    @inline(__always)
    private static func next(_ text: TextBytes, _ place: inout Int) -> UInt8? {
        while place < text.count {
            let byte = text[place]
            place += 1
            if byte > 0x20 { return byte }
            if byte != 0x20, byte != 0x0A, byte != 0x0D, byte != 0x09 { return byte }
        }
        return nil
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "_") <= 27 }

    /// Up to fifteen digits, the first of several not zero.
    @inline(__always)
    private static func number(_ text: TextBytes, _ place: inout Int) -> Int? {
        guard let first = next(text, &place), first &- UInt8(ascii: "0") <= 9 else { return nil }
        var value = Int(first &- UInt8(ascii: "0"))
        let start = place
        while place < text.count {
            let digit = text[place] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            guard value > 0, place - start < 14 else { return nil }
            value = value &* 10 &+ Int(digit)
            place += 1
        }
        return value
    }

    /// - Precondition: both have the same length.
    private static func matches(_ name: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
        guard let start = name.baseAddress else { return false }
        return unsafe memcmp(start, word.utf8Start, name.count) == 0
    }
}

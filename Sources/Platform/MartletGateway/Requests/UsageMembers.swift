// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletJSON

/// What a `usage` object says, as far as it does: OpenAI's older names (`prompt_tokens`,
/// `completion_tokens`) and its newer ones (`input_tokens`, `output_tokens`), which Anthropic has
/// too, but without what it read from or wrote to a cache.
struct UsageMembers {
    var prompt: Int?
    var ownInput: Int?
    var cached = 0
    var output: Int?

    var input: Int? { prompt ?? ownInput.map { $0 + cached } }

    /// Nil when it is no object, or says what cannot be.
    static func read(_ bytes: UnsafeRawBufferPointer) -> UsageMembers? {
        guard let found = unsafe FlatUsage.read(bytes) ?? scan(bytes),
            found.input ?? 0 >= 0, found.output ?? 0 >= 0
        else { return nil }
        return found
    }

    private static func scan(_ bytes: UnsafeRawBufferPointer) -> UsageMembers? {
        var found = UsageMembers()
        var scanner = unsafe JSONScanner(bytes)
        do throws(JSONError) {
            guard try scanner.peek() == .object else { return nil }
            try scanner.beginObject()
            while let key = try scanner.nextKey() {
                let isPrompt = key == "prompt_tokens"
                let isInput = key == "input_tokens"
                let isOutput = key == "completion_tokens" || key == "output_tokens"
                let isCached =
                    key == "cache_read_input_tokens" || key == "cache_creation_input_tokens"
                guard isPrompt || isInput || isOutput || isCached, try scanner.peek() == .number
                else {
                    try scanner.skipValue()
                    continue
                }
                let value = count(try scanner.readDouble())
                if isPrompt { found.prompt = value }
                if isInput { found.ownInput = value }
                if isOutput { found.output = value }
                if isCached { found.cached += max(value, 0) }
            }
            return found
        } catch { return nil }
    }

    /// Some servers write counts as fractions; what is too large is kept within bounds.
    private static func count(_ number: Double) -> Int {
        guard number >= 0 else { return -1 }
        return Int(exactly: min(number, Double(TokenUsage.countMax)).rounded(.up)) ?? 0
    }
}

/// Reads a `usage` object as most servers write it: nothing but short names and whole numbers.
/// Whatever else it may be is left to the JSON scanner.
private enum FlatUsage {
    /// nil: it is something else, or no JSON.
    static func read(_ bytes: UnsafeRawBufferPointer) -> UsageMembers? {
        guard let start = bytes.baseAddress else { return nil }
        let text = unsafe TextBytes(start, bytes.count)
        var place = 0
        guard next(text, &place) == UInt8(ascii: "{") else { return nil }
        var found = UsageMembers()
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
            case 12 where unsafe matches(name, "input_tokens"): found.ownInput = value
            case 13 where unsafe matches(name, "prompt_tokens"): found.prompt = value
            case 13 where unsafe matches(name, "output_tokens"): found.output = value
            case 17 where unsafe matches(name, "completion_tokens"): found.output = value
            case 23 where unsafe matches(name, "cache_read_input_tokens"),
                27 where unsafe matches(name, "cache_creation_input_tokens"):
                found.cached += value
            default:
                // An escape may make one of them of it.
                guard unsafe name.allSatisfy(isPlain) else { return nil }
            }
            switch next(text, &place) {
            case UInt8(ascii: ",")?: continue
            case UInt8(ascii: "}")?: return found
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

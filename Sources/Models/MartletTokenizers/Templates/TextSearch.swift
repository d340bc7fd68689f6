// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Searching texts by their bytes, as Python compares strings.
enum TextSearch {
    /// Where `part` first occurs in `text`, in bytes.
    static func first(_ part: String, in text: String) -> Int? {
        places(of: Array(part.utf8), in: Array(text.utf8), countMax: 1).first
    }

    /// Where `part` occurs, from left to right without overlap. Cost: O(text), by the algorithm of
    /// Knuth, Morris and Pratt.
    static func places(of part: [UInt8], in text: [UInt8], countMax: Int = .max) -> [Int] {
        guard !part.isEmpty else { return [0] }
        guard part.count <= text.count, countMax > 0 else { return [] }
        var back = [0]
        var length = 0
        for index in part.indices.dropFirst() {
            while length > 0, part[index] != part[length] { length = back[length - 1] }
            if part[index] == part[length] { length += 1 }
            back.append(length)
        }
        var found: [Int] = []
        length = 0
        for index in text.indices {
            while length > 0, text[index] != part[length] { length = back[length - 1] }
            if text[index] == part[length] { length += 1 }
            guard length == part.count else { continue }
            found.append(index + 1 - length)
            length = 0
            if found.count >= countMax { break }
        }
        return found
    }

    /// The pieces between occurrences.
    static func split(_ text: String, by part: String, countMax: Int = .max) -> [String] {
        let bytes = Array(text.utf8)
        let width = part.utf8.count
        var pieces: [String] = []
        var start = 0
        for place in places(of: Array(part.utf8), in: bytes, countMax: countMax) {
            pieces.append(String(decoding: bytes[start..<place], as: UTF8.self))
            start = place + width
        }
        pieces.append(String(decoding: bytes[start...], as: UTF8.self))
        return pieces
    }

    /// What Python's `strip` takes without arguments.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }

    static func trimmed(
        _ text: String, left: Bool, right: Bool, _ isCut: (Unicode.Scalar) -> Bool = isSpace
    ) -> String {
        var scalars = text.unicodeScalars[...]
        while left, let first = scalars.first, isCut(first) { scalars.removeFirst() }
        while right, let last = scalars.last, isCut(last) { scalars.removeLast() }
        return String(scalars)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How far two texts lie apart, in words and in characters (Unicode scalars).
///
/// Levenshtein's distance within a band that doubles until it holds the answer (Ukkonen, 1985):
/// O(length × distance). The work is bounded; what would cost more is given as "at least".
package struct TextDistance: Sendable, Hashable {
    package var words: Int
    package var wordsMax: Int
    package var characters: Int
    package var charactersMax: Int
    /// False when a distance is only known to be at least what it says.
    package var isExact: Bool

    /// Cells that a comparison may fill.
    package static let cellsMax = 20_000_000

    package init(_ before: String, _ after: String) {
        var numbers: [Substring: UInt32] = [:]
        func words(_ text: String) -> [UInt32] {
            text.split { $0.isWhitespace }.map { word in
                if let known = numbers[word] { return known }
                let number = UInt32(truncatingIfNeeded: numbers.count)
                numbers[word] = number
                return number
            }
        }
        let one = words(before)
        let other = words(after)
        let byWords = TextDistance.between(one, other)
        let first = before.unicodeScalars.map(\.value)
        let second = after.unicodeScalars.map(\.value)
        let byCharacters = TextDistance.between(first, second)
        self.words = byWords.distance
        wordsMax = max(one.count, other.count)
        characters = byCharacters.distance
        charactersMax = max(first.count, second.count)
        isExact = byWords.isExact && byCharacters.isExact
    }

    /// 0 for equal texts, 1 for texts without a word in common at its place.
    package var share: Double {
        wordsMax == 0 ? 0 : Double(words) / Double(wordsMax)
    }

    static func between(
        _ before: [UInt32], _ after: [UInt32], cellsMax: Int = TextDistance.cellsMax
    ) -> (distance: Int, isExact: Bool) {
        var start = 0
        let shorter = min(before.count, after.count)
        while start < shorter, before[start] == after[start] { start += 1 }
        var tail = 0
        while tail < shorter - start,
            before[before.count - 1 - tail] == after[after.count - 1 - tail]
        { tail += 1 }
        let one = before[start..<(before.count - tail)]
        let other = after[start..<(after.count - tail)]
        if one.isEmpty || other.isEmpty { return (max(one.count, other.count), true) }
        var limit = max(abs(one.count - other.count), 8)
        let longest = max(one.count, other.count)
        var known = max(abs(one.count - other.count), 1)
        while true {
            let cells = (2 * limit + 1).multipliedReportingOverflow(by: one.count)
            guard !cells.overflow, cells.partialValue <= cellsMax else { return (known, false) }
            if let distance = banded(one, other, limit) { return (distance, true) }
            known = limit + 1
            limit = min(limit * 2, longest)
        }
    }

    /// The distance when it is at most `limit`.
    private static func banded(
        _ one: ArraySlice<UInt32>, _ other: ArraySlice<UInt32>, _ limit: Int
    ) -> Int? {
        let rows = one.count
        let columns = other.count
        guard abs(rows - columns) <= limit else { return nil }
        let far = limit + 1
        var previous = [Int](repeating: far, count: columns + 1)
        var current = previous
        for column in 0...min(columns, limit) { previous[column] = column }
        for row in 1...rows {
            let low = max(1, row - limit)
            let high = min(columns, row + limit)
            current[low - 1] = low == 1 ? min(row, far) : far
            let value = one[one.startIndex + row - 1]
            for column in low...high {
                let same = other[other.startIndex + column - 1] == value ? 0 : 1
                let above = column == row + limit ? far : previous[column] + 1
                current[column] = min(
                    previous[column - 1] + same, min(above, current[column - 1] + 1))
            }
            swap(&previous, &current)
        }
        return previous[columns] <= limit ? previous[columns] : nil
    }
}

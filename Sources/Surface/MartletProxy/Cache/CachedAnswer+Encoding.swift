// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
package import MartletGateway

/// Kept answers as other replicas read them: when they were made, the whole key, the answer.
extension CachedAnswer {
    private static let mark = Array("MGC1".utf8)

    /// - Parameter made: in milliseconds since the epoch.
    package func encoded(_ key: CacheKey, made: Int64) -> [UInt8] {
        var bytes = CachedAnswer.mark
        bytes.reserveCapacity(40 + key.bytes.count + lines.count + body.count)
        CachedAnswer.append(made, to: &bytes)
        for number in [key.bytes.count, status, isEventStream ? 1 : 0, lines.count, body.count] {
            CachedAnswer.append(Int64(number), to: &bytes)
        }
        bytes += key.bytes
        bytes += lines
        bytes += body
        return bytes
    }

    /// Nil for anything that is not an answer to just that key.
    package static func decode(_ bytes: [UInt8], for key: CacheKey) -> (CachedAnswer, made: Int64)?
    {
        let numbersEnd = mark.count + 6 * 8
        guard bytes.count >= numbersEnd, bytes.starts(with: mark) else { return nil }
        var numbers: [Int] = []
        for start in stride(from: mark.count, to: numbersEnd, by: 8) {
            var value: UInt64 = 0
            for offset in 0..<8 { value |= UInt64(bytes[start + offset]) << UInt64(8 * offset) }
            numbers.append(Int(truncatingIfNeeded: value))
        }
        let lengths = [numbers[1], numbers[4], numbers[5]]
        guard lengths.allSatisfy({ $0 >= 0 && $0 <= bytes.count }),
            numbersEnd + lengths.reduce(0, +) == bytes.count, (200..<600).contains(numbers[2])
        else { return nil }
        let linesStart = numbersEnd + lengths[0]
        let bodyStart = linesStart + lengths[1]
        guard bytes[numbersEnd..<linesStart].elementsEqual(key.bytes) else { return nil }
        let lines = Array(bytes[linesStart..<bodyStart])
        // They go into a head as they are.
        guard lines.isEmpty || lines.suffix(2).elementsEqual([0x0D, 0x0A]),
            isWellFormed(lines)
        else { return nil }
        return (
            CachedAnswer(
                status: numbers[2], lines: lines, body: Array(bytes[bodyStart...]),
                isEventStream: numbers[3] == 1), Int64(numbers[0])
        )
    }

    /// Whether every line is `name: value`, and none is empty.
    private static func isWellFormed(_ lines: [UInt8]) -> Bool {
        var start = 0
        for place in lines.indices {
            if lines[place] == 0x0D {
                guard place + 1 < lines.count, lines[place + 1] == 0x0A, place > start,
                    lines[start..<place].contains(UInt8(ascii: ":"))
                else { return false }
            } else if lines[place] == 0x0A {
                guard place > 0, lines[place - 1] == 0x0D else { return false }
                start = place + 1
            }
        }
        return true
    }

    private static func append(_ value: Int64, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: UInt64(bitPattern: value) >> shift))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Finds marks in a text that comes in pieces, holding back what may become one.
struct MarkFinder: Sendable {
    private var pending: [UInt8] = []

    /// Adds text; answers what comes before the first of `marks`, and which mark, once it is there.
    /// What follows the mark stays for the next call.
    mutating func next(_ text: String, marks: [String]) -> (before: String, mark: Int?) {
        pending += text.utf8
        var best: (place: Int, mark: Int)?
        for (index, mark) in marks.enumerated() {
            guard let place = MarkFinder.find(Array(mark.utf8), in: pending) else { continue }
            if best.map({ place < $0.place }) ?? true { best = (place, index) }
        }
        if let best {
            let before = String(decoding: pending[..<best.place], as: UTF8.self)
            pending.removeFirst(best.place + marks[best.mark].utf8.count)
            return (before, best.mark)
        }
        var held = 0
        for mark in marks {
            let bytes = Array(mark.utf8)
            var length = min(bytes.count - 1, pending.count)
            while length > held {
                if pending.suffix(length).elementsEqual(bytes.prefix(length)) {
                    held = length
                    break
                }
                length -= 1
            }
        }
        let before = String(decoding: pending[..<(pending.count - held)], as: UTF8.self)
        pending.removeFirst(pending.count - held)
        return (before, nil)
    }

    /// What is left.
    mutating func rest() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    private static func find(_ mark: [UInt8], in bytes: [UInt8]) -> Int? {
        guard mark.count <= bytes.count else { return nil }
        for start in 0...(bytes.count - mark.count)
        where bytes[start] == mark[0] && bytes[start...].starts(with: mark) {
            return start
        }
        return nil
    }
}

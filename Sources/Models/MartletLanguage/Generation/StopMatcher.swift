// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Finds stop texts in a stream, holding back what may become one.
package struct StopMatcher: Sendable {
    private let stops: [[UInt8]]
    private let includesStop: Bool
    private var pending: [UInt8] = []

    package struct Result: Sendable, Hashable {
        /// Text that is certain.
        package var text: String
        /// The stop text that was found; nothing follows.
        package var stop: String?
    }

    package init(_ stops: [String], includesStop: Bool = false) {
        self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
        self.includesStop = includesStop
    }

    package mutating func append(_ text: String) -> Result {
        guard !stops.isEmpty else { return Result(text: text, stop: nil) }
        let before = pending.count
        pending += text.utf8
        if let (stop, start) = firstStop(notBefore: before) {
            let end = includesStop ? start + stop.count : start
            defer { pending = [] }
            return Result(
                text: String(decoding: pending[..<end], as: UTF8.self),
                stop: String(decoding: stop, as: UTF8.self))
        }
        let held = heldCount()
        let certain = pending.count - held
        defer { pending.removeFirst(certain) }
        return Result(text: String(decoding: pending[..<certain], as: UTF8.self), stop: nil)
    }

    /// What was held back, at the end.
    package mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// The stop text that is complete first; of several at one place the longest.
    private func firstStop(notBefore before: Int) -> (stop: [UInt8], start: Int)? {
        var best: (stop: [UInt8], start: Int)?
        for stop in stops where stop.count <= pending.count {
            var start = max(0, before - stop.count + 1)
            while start + stop.count <= pending.count {
                if pending[start] == stop[0], pending[start...].starts(with: stop) {
                    let isBetter =
                        best.map {
                            start < $0.start || (start == $0.start && stop.count > $0.stop.count)
                        }
                        ?? true
                    if isBetter { best = (stop, start) }
                    break
                }
                start += 1
            }
        }
        return best
    }

    /// The longest end of what is pending that a stop text begins with.
    private func heldCount() -> Int {
        var held = 0
        for stop in stops {
            var length = min(stop.count - 1, pending.count)
            while length > held {
                if pending.suffix(length).elementsEqual(stop.prefix(length)) {
                    held = length
                    break
                }
                length -= 1
            }
        }
        return held
    }
}

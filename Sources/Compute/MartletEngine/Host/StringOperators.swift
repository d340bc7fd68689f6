// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Each text followed by another, with broadcasting.
    static let stringConcat = NativeOperator(.stringConcat) { call in
        let (left, right) = (try call.tensor(0), try call.tensor(1))
        let shape = try call.broadcast(left.shape, right.shape)
        let (first, second) = (try call.texts(left), try call.texts(right))
        let (firsts, seconds) = (
            call.places(left.shape, in: shape), call.places(right.shape, in: shape)
        )
        let joined = zip(firsts, seconds).map { first[$0] + second[$1] }
        call.set(0, try call.make(texts: joined, shape))
    }

    /// Whether texts are equal, with broadcasting.
    static let stringEqual = NativeOperator(.stringEqual) { call in
        let (left, right) = (try call.tensor(0), try call.tensor(1))
        let shape = try call.broadcast(left.shape, right.shape)
        let (first, second) = (try call.texts(left), try call.texts(right))
        let (firsts, seconds) = (
            call.places(left.shape, in: shape), call.places(right.shape, in: shape)
        )
        let equal = zip(firsts, seconds).map { first[$0] == second[$1] }
        call.set(0, try Tensor(booleans: equal, shape: shape))
    }

    /// Parts between delimiters, padded with empty texts to the most that one has.
    static let stringSplit = NativeOperator(.stringSplit) { call in
        let input = try call.tensor(0)
        let delimiter = Array((call.attributes["delimiter"]?.string ?? "").utf8)
        let most = call.attributes["maxsplit"]?.int ?? .max
        let parts = try call.texts(input).map {
            delimiter.isEmpty
                ? TextSplitting.words($0, maxSplits: most)
                : TextSplitting.parts($0, delimiter, maxSplits: most)
        }
        let width = parts.map(\.count).max() ?? 0
        var shape = input.shape
        guard shape.append(width) else {
            throw call.failure("more than \(Shape.rankMax) dimensions", .limitExceeded)
        }
        let (entries, overflow) = width.multipliedReportingOverflow(by: parts.count)
        guard !overflow else { throw call.failure("too many parts", .limitExceeded) }
        try call.reserve(bytes: entries * 32)
        let padded = parts.flatMap { $0 + Array(repeating: [], count: width - $0.count) }
        call.set(0, try call.make(texts: padded, shape))
        if call.wants(1) {
            call.set(1, try Tensor(parts.map { Int64($0.count) }, shape: input.shape))
        }
    }

    /// Texts without stop words, in one case.
    static let stringNormalizer = NativeOperator(.stringNormalizer) { call in
        let input = try call.tensor(0)
        guard input.shape.rank == 1 || (input.shape.rank == 2 && input.shape[0] == 1) else {
            throw call.failure("needs [C] or [1, C], got \(input.shape)", .invalidInput)
        }
        var stopWords: [String] = []
        if case .strings(let words)? = call.attributes["stopwords"] { stopWords = words }
        let isExact = call.int("is_case_sensitive") != 0
        let stops = Set(isExact ? stopWords : stopWords.map { $0.lowercased() })
        let action = call.attributes["case_change_action"]?.string ?? "NONE"
        let texts = try call.texts(input).map { String(decoding: $0, as: UTF8.self) }
        var kept = texts.filter { !stops.contains(isExact ? $0 : $0.lowercased()) }
        switch action {
        case "LOWER": kept = kept.map { $0.lowercased() }
        case "UPPER": kept = kept.map { $0.uppercased() }
        case "NONE": break
        default: throw call.failure("case_change_action '\(action)'")
        }
        if kept.isEmpty { kept = [""] }
        let shape: Shape = input.shape.rank == 1 ? [kept.count] : [1, kept.count]
        call.set(0, try call.make(texts: kept.map { Array($0.utf8) }, shape))
    }

    static let regexFullMatch = NativeOperator(.regexFullMatch) { call in
        let input = try call.tensor(0)
        let expression: RegularExpression
        do throws(RegularExpression.Failure) {
            expression = try RegularExpression(call.attributes["pattern"]?.string ?? "")
        } catch {
            throw call.failure("pattern: \(error.message)")
        }
        let matches = try call.texts(input).map { text in
            expression.matches(Array(String(decoding: text, as: UTF8.self).unicodeScalars))
        }
        call.set(0, try Tensor(booleans: matches, shape: input.shape))
    }
}

/// Texts taken apart.
private enum TextSplitting {
    static func parts(_ text: [UInt8], _ delimiter: [UInt8], maxSplits: Int) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        var start = 0
        var place = 0
        while parts.count < maxSplits, place + delimiter.count <= text.count {
            if text[place..<(place + delimiter.count)].elementsEqual(delimiter) {
                parts.append(Array(text[start..<place]))
                place += delimiter.count
                start = place
            } else {
                place += 1
            }
        }
        return parts + [Array(text[start...])]
    }

    /// Runs of anything but blanks; the last one takes what is left.
    static func words(_ text: [UInt8], maxSplits: Int) -> [[UInt8]] {
        func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
        var parts: [[UInt8]] = []
        var place = 0
        while true {
            while place < text.count, isBlank(text[place]) { place += 1 }
            if place == text.count { return parts }
            if parts.count == maxSplits {
                var end = text.count
                while end > place, isBlank(text[end - 1]) { end -= 1 }
                return parts + [Array(text[place..<end])]
            }
            let start = place
            while place < text.count, !isBlank(text[place]) { place += 1 }
            parts.append(Array(text[start..<place]))
        }
    }
}

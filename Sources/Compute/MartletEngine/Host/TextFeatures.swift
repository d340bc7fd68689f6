// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Counts of known n-grams, weighted.
    static let tfIdfVectorizer = NativeOperator(.tfIdfVectorizer) { call in
        let input = try call.tensor(0)
        guard input.shape.rank == 1 || input.shape.rank == 2 else {
            throw call.failure("needs [C] or [N, C], got \(input.shape)", .invalidInput)
        }
        let grams = try NGramPool(call)
        let tokens = try call.elementKeys(input, as: grams.tokenType).map { grams.tokens[$0] ?? -1 }
        let rows = input.shape.rank == 1 ? 1 : input.shape[0]
        let length = input.shape.last ?? 0
        let (entries, overflow) = rows.multipliedReportingOverflow(by: grams.width)
        guard !overflow else { throw call.failure("too many counts", .limitExceeded) }
        try call.reserve(bytes: entries * 4)
        var counts = [Float](repeating: 0, count: entries)
        for row in 0..<rows {
            try call.state.checkCancellation()
            grams.count(tokens[(row * length)..<((row + 1) * length)]) { gram in
                counts[row * grams.width + grams.places[gram]] += 1
            }
            grams.weigh(&counts, row: row)
        }
        let shape: Shape = input.shape.rank == 1 ? [grams.width] : [rows, grams.width]
        call.set(0, try Tensor(counts, shape: shape))
    }

    /// Each element's value in a table.
    static let labelEncoder = NativeOperator(.labelEncoder) { call in
        let input = try call.tensor(0)
        let keys = try call.table("keys")
        let values = try call.table("values")
        guard let keys, let values, keys.entries.count == values.entries.count else {
            throw call.failure("keys and values do not pair up", .invalidModel)
        }
        var lookup: [[UInt8]: [UInt8]] = [:]
        for (key, value) in zip(keys.entries, values.entries) { lookup[key] = value }
        let fallback = try call.defaultEntry(values.type)
        let found = try call.elementKeys(input, as: keys.type).map { lookup[$0] ?? fallback }
        if values.type == .bytes {
            return call.set(0, try call.make(texts: found, input.shape))
        }
        let storage = try call.make(values.type, input.shape)
        let target = unsafe storage.mutableBytes
        var place = 0
        for entry in found {
            for byte in entry where place < storage.byteCount {
                unsafe target[place] = byte
                place += 1
            }
        }
        call.set(0, try Tensor(elementType: values.type, shape: input.shape, storage: storage))
    }
}

extension HostCall {
    /// Elements as bytes that are equal where the elements are: texts, or numbers of one type.
    fileprivate func elementKeys(_ tensor: Tensor, as type: ElementType) throws -> [[UInt8]] {
        if type == .bytes { return try texts(tensor) }
        try reserve(bytes: tensor.elementCount * 48)
        if tensor.elementType == .int32, type == .int64 {
            return try tensor.elements(as: Int32.self).map { Self.key(Int64($0)) }
        }
        guard tensor.elementType == type else {
            throw failure("\(tensor.summary) for a table of \(type.displayName)", .invalidInput)
        }
        switch type {
        case .float32: return try tensor.elements(as: Float.self).map { Self.key($0) }
        case .float64: return try tensor.elements(as: Double.self).map { Self.key($0) }
        default:
            let width = try elementBytes(tensor)
            return (0..<tensor.elementCount).map {
                unsafe [UInt8](tensor.bytes[($0 * width)..<(($0 + 1) * width)])
            }
        }
    }

    private static func key<Number>(_ number: Number) -> [UInt8] where Number: BitwiseCopyable {
        unsafe withUnsafeBytes(of: number) { unsafe [UInt8]($0) }
    }

    private static func key(_ number: Float) -> [UInt8] {
        key((number.isNaN ? .nan : number == 0 ? 0 : number).bitPattern)
    }

    private static func key(_ number: Double) -> [UInt8] {
        key((number.isNaN ? .nan : number == 0 ? 0 : number).bitPattern)
    }

    /// One side of a table: the attribute of these that the node has.
    fileprivate func table(_ name: String) throws -> (type: ElementType, entries: [[UInt8]])? {
        if case .strings(let values)? = attributes["\(name)_strings"] {
            return (.bytes, values.map { Array($0.utf8) })
        }
        if let values = attributes["\(name)_int64s"]?.ints {
            return (.int64, values.map { Self.key($0) })
        }
        if let values = attributes["\(name)_floats"]?.floats {
            // Keys compare, values keep their bits.
            return (
                .float32, values.map { name == "keys" ? Self.key($0) : Self.key($0.bitPattern) }
            )
        }
        guard let tensor = attributes["\(name)_tensor"]?.tensor else { return nil }
        return (tensor.elementType, try elementKeys(tensor, as: tensor.elementType))
    }

    fileprivate func defaultEntry(_ type: ElementType) throws -> [UInt8] {
        if let tensor = attributes["default_tensor"]?.tensor {
            guard tensor.elementType == type,
                let entry = try elementKeys(tensor, as: type).first
            else { throw failure("the default is of another type", .invalidModel) }
            return entry
        }
        switch type {
        case .bytes: return Array((attributes["default_string"]?.string ?? "_Unused").utf8)
        case .float32:
            return Self.key((attributes["default_float"]?.float ?? -0.0).bitPattern)
        case .float64:
            return Self.key(Double(attributes["default_float"]?.float ?? -0.0).bitPattern)
        default:
            let bytes = Self.key(Int64(attributes["default_int64"]?.int ?? -1))
            return Array(bytes.prefix((type.bitWidth ?? 64) / 8))
        }
    }
}

/// The n-grams that a TfIdfVectorizer counts.
private struct NGramPool {
    /// The type of the tokens: texts or int64.
    let tokenType: ElementType
    /// By token, its number.
    let tokens: [[UInt8]: Int]
    /// By n-gram, the place of its count.
    let places: [Int]
    let width: Int
    private let grams: [[Int]: Int]
    private let lengths: ClosedRange<Int>
    private let skips: Int
    private let mode: String
    private let weights: [Float]

    init(_ call: HostCall) throws {
        let lowest = call.int("min_gram_length", default: 1)
        let highest = call.int("max_gram_length", default: 1)
        skips = call.int("max_skip_count")
        mode = call.attributes["mode"]?.string ?? "TF"
        let starts = call.attributes["ngram_counts"]?.ints?.map { Int($0) } ?? []
        places = call.attributes["ngram_indexes"]?.ints?.map { Int($0) } ?? []
        weights = call.attributes["weights"]?.floats ?? []
        guard let pool = try call.table("pool"), lowest >= 1, lowest <= highest, highest <= 64,
            skips >= 0, skips <= 1 << 20, ["TF", "IDF", "TFIDF"].contains(mode),
            starts.count >= highest, places.allSatisfy({ $0 >= 0 && $0 < 1 << 28 }),
            weights.isEmpty || weights.count == places.count
        else { throw call.failure("the n-grams cannot be read", .invalidModel) }
        lengths = lowest...highest
        tokenType = pool.type
        width = (places.max() ?? -1) + 1
        var tokens: [[UInt8]: Int] = [:]
        let numbers = pool.entries.map { entry -> Int in
            if let known = tokens[entry] { return known }
            tokens[entry] = tokens.count
            return tokens.count - 1
        }
        self.tokens = tokens
        var grams: [[Int]: Int] = [:]
        var count = 0
        for (index, start) in starts.enumerated() {
            let end = index + 1 < starts.count ? starts[index + 1] : numbers.count
            guard start >= 0, start <= end, end <= numbers.count else {
                throw call.failure("ngram_counts \(starts)", .invalidModel)
            }
            for place in stride(from: start, through: end - index - 1, by: index + 1) {
                grams[Array(numbers[place...(place + index)])] = count
                count += 1
            }
        }
        guard count <= places.count else {
            throw call.failure("\(count) n-grams, \(places.count) places", .invalidModel)
        }
        self.grams = grams
    }

    /// Calls `found` with the number of each n-gram of a row, skips included.
    func count(_ row: ArraySlice<Int>, _ found: (Int) -> Void) {
        for distance in 1...Swift.max(Swift.min(skips + 1, row.count), 1) {
            for start in row.indices {
                var gram: [Int] = []
                var place = start
                while place < row.endIndex, gram.count < lengths.upperBound, row[place] >= 0 {
                    gram.append(row[place])
                    place += distance
                    // Single tokens have nothing to skip.
                    if gram.count == 1, distance > 1 { continue }
                    if lengths.contains(gram.count), let number = grams[gram] { found(number) }
                }
            }
        }
    }

    func weigh(_ counts: inout [Float], row: Int) {
        if mode == "TF" { return }
        var weightOf = [Float](repeating: 1, count: width)
        for (gram, place) in places.enumerated() where gram < weights.count {
            weightOf[place] = weights[gram]
        }
        for place in 0..<width {
            let value = counts[row * width + place]
            counts[row * width + place] =
                (mode == "IDF" ? Swift.min(value, 1) : value) * weightOf[place]
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The four Unicode normalisation forms.
enum NormalizationForm: Sendable {
    case nfd, nfc, nfkd, nfkc

    var isCompatible: Bool { self == .nfkd || self == .nfkc }
    var composes: Bool { self == .nfc || self == .nfkc }
}

/// Decompositions and compositions by scalar, read once from `DecompositionTable`.
struct Decomposition: Sendable {
    static let canonical = Decomposition([DecompositionTable.canonical])
    static let compatible = Decomposition([
        DecompositionTable.canonical, DecompositionTable.compatible,
    ])
    static let compositions: [UInt64: UInt32] = {
        var pairs: [UInt64: UInt32] = [:]
        Decomposition.parse(DecompositionTable.compositions) { composite, parts in
            guard parts.count == 2 else { return }
            pairs[UInt64(parts[0]) << 32 | UInt64(parts[1])] = composite
        }
        return pairs
    }()

    /// Block numbers by the scalar's upper bits; block 0 is empty.
    private var blockOf = [UInt16](repeating: 0, count: 0x110000 >> 8)
    /// `offset << 8 | count` into `parts`, by block and the scalar's lower bits; 0 is none.
    private var blocks = [UInt32](repeating: 0, count: 256)
    private var parts: [UInt32] = [0]

    private init(_ tables: [String]) {
        for table in tables {
            Decomposition.parse(table) { scalar, expansion in insert(scalar, expansion) }
        }
    }

    private mutating func insert(_ scalar: UInt32, _ expansion: [UInt32]) {
        let upper = Int(scalar >> 8)
        if blockOf[upper] == 0 {
            blockOf[upper] = UInt16(blocks.count >> 8)
            blocks.append(contentsOf: repeatElement(0, count: 256))
        }
        blocks[Int(blockOf[upper]) << 8 | Int(scalar & 0xFF)] =
            UInt32(parts.count) << 8 | UInt32(expansion.count)
        parts.append(contentsOf: expansion)
    }

    private static func parse(_ table: String, _ visit: (UInt32, [UInt32]) -> Void) {
        var scalar: UInt32 = 0
        var value: UInt32 = 0
        var expansion: [UInt32] = []
        for byte in table.utf8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "A")...UInt8(ascii: "F"):
                value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            case UInt8(ascii: "="):
                scalar = value
                value = 0
            case UInt8(ascii: ","):
                expansion.append(value)
                value = 0
            case UInt8(ascii: ";"):
                expansion.append(value)
                visit(scalar, expansion)
                expansion.removeAll(keepingCapacity: true)
                value = 0
            default: continue
            }
        }
    }

    /// Appends a scalar's full decomposition, which is the scalar itself when it has none.
    @inline(__always)
    func append(_ scalar: UInt32, to result: inout [UInt32]) {
        if scalar < 0xA0 { return result.append(scalar) }
        if scalar >= 0xAC00, scalar < 0xD7A4 {
            let index = scalar - 0xAC00
            result.append(0x1100 + index / 588)
            result.append(0x1161 + index % 588 / 28)
            if index % 28 != 0 { result.append(0x11A7 + index % 28) }
            return
        }
        let entry = blocks[Int(blockOf[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)]
        if entry == 0 { return result.append(scalar) }
        for index in Int(entry >> 8)..<Int(entry >> 8) + Int(entry & 0xFF) {
            result.append(parts[index])
        }
    }

    /// The scalar that `first` and `second` join to under NFC.
    static func composed(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if first >= 0x1100, first < 0x1113, second >= 0x1161, second < 0x1176 {
            return 0xAC00 + (first - 0x1100) * 588 + (second - 0x1161) * 28
        }
        if first >= 0xAC00, first < 0xD7A4, (first - 0xAC00) % 28 == 0, second > 0x11A7,
            second < 0x11C3
        {
            return first + second - 0x11A7
        }
        return compositions[UInt64(first) << 32 | UInt64(second)]
    }
}

/// Unicode normalisation over scalars.
enum UnicodeNormalizer {
    /// The combining class as of Unicode 9, the version that models' tokenizers order marks by; 0
    /// for a starter.
    @inline(__always)
    static func combiningClass(_ scalar: UInt32) -> UInt8 {
        if scalar < 0x300 { return 0 }
        return scalar < 0x10000 ? basicPlaneClasses[Int(scalar)] : classify(scalar)
    }

    private static let basicPlaneClasses: [UInt8] = (0..<UInt32(0x10000)).map(classify)

    private static func classify(_ scalar: UInt32) -> UInt8 {
        guard let scalar = Unicode.Scalar(scalar) else { return 0 }
        let value = scalar.properties.canonicalCombiningClass.rawValue
        guard value != 0, let age = scalar.properties.age, age.major <= 9 else { return 0 }
        return value
    }

    /// Normalises `scalars` in place. Cost: linear, n log n in a run of combining marks.
    static func normalize(
        _ scalars: inout [UInt32], form: NormalizationForm, scratch: inout [UInt32]
    ) {
        scratch.removeAll(keepingCapacity: true)
        let table = form.isCompatible ? Decomposition.compatible : Decomposition.canonical
        for scalar in scalars { table.append(scalar, to: &scratch) }
        reorder(&scratch)
        swap(&scalars, &scratch)
        if form.composes { compose(&scalars) }
    }

    /// Sorts each run of combining marks by class, keeping the order of equal ones.
    private static func reorder(_ scalars: inout [UInt32]) {
        var start = 0
        while start < scalars.count {
            let first = combiningClass(scalars[start])
            if first == 0 {
                start += 1
                continue
            }
            var end = start + 1
            var isSorted = true
            var previous = first
            while end < scalars.count {
                let current = combiningClass(scalars[end])
                if current == 0 { break }
                if current < previous { isSorted = false }
                previous = current
                end += 1
            }
            if !isSorted {
                // The standard library's sort is stable.
                let sorted = scalars[start..<end].map { ($0, combiningClass($0)) }
                    .sorted { $0.1 < $1.1 }
                for (index, entry) in sorted.enumerated() { scalars[start + index] = entry.0 }
            }
            start = end
        }
    }

    private static func compose(_ scalars: inout [UInt32]) {
        var starter: Int?
        var lastClass: UInt8 = 0
        var written = 0
        for index in 0..<scalars.count {
            let scalar = scalars[index]
            let currentClass = combiningClass(scalar)
            if let starter, written == starter + 1 || (lastClass < currentClass && lastClass != 0),
                let joined = Decomposition.composed(scalars[starter], scalar)
            {
                scalars[starter] = joined
                continue
            }
            if currentClass == 0 { starter = written }
            lastClass = currentClass
            scalars[written] = scalar
            written += 1
        }
        scalars.removeLast(scalars.count - written)
    }
}

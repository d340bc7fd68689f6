// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a regular expression or a grammar's rule says, read but not yet built.
indirect enum TextPattern: Sendable {
    case text(String)
    case oneOf(ScalarSet)
    case sequence([TextPattern])
    case either([TextPattern])
    case repeated(TextPattern, least: Int, most: Int?)
    case rule(Int)
}

/// Characters of a class: ASCII ones a bit each, others listed.
struct ScalarSet: Sendable {
    private var low: (UInt64, UInt64) = (0, 0)
    private(set) var wide: Set<Unicode.Scalar> = []
    var isNegated = false
    /// Every character beyond ASCII.
    private(set) var hasAllWide = false

    mutating func insert(_ scalar: Unicode.Scalar) {
        if scalar.value < 64 {
            low.0 |= 1 << UInt64(scalar.value)
        } else if scalar.value < 128 {
            low.1 |= 1 << UInt64(scalar.value - 64)
        } else {
            wide.insert(scalar)
        }
    }

    mutating func formUnion(_ other: ScalarSet) {
        let (zero, one) = other.isNegated ? (~other.low.0, ~other.low.1) : other.low
        low.0 |= zero
        low.1 |= one
        wide.formUnion(other.wide)
        if other.isNegated { hasAllWide = true }
    }

    func hasASCII(_ byte: UInt8) -> Bool {
        let bit = byte < 64 ? low.0 >> UInt64(byte) : low.1 >> UInt64(byte - 64)
        return (bit & 1 == 1) != isNegated
    }
}

extension ScalarSet {
    static let anyButLineEnd: ScalarSet = {
        var set = ScalarSet()
        set.insert("\n")
        set.isNegated = true
        return set
    }()
}

extension ByteAutomaton {
    /// Builds a pattern between two states. Cost: what it adds, which is bounded.
    mutating func add(
        _ from: State, _ pattern: TextPattern, _ to: State
    ) throws(LanguageError) {
        switch pattern {
        case .text(let text): try add(from, text, to)
        case .oneOf(let set): try add(from, set, to)
        case .sequence(let parts):
            var last = from
            for part in parts {
                let next = try makeState()
                try add(last, part, next)
                last = next
            }
            join(last, to)
        case .either(let options):
            for option in options { try add(from, option, to) }
        case .repeated(let inner, let least, let most):
            try add(from, inner, least: least, most: most, to)
        case .rule(let rule): call(rule, from, to)
        }
    }

    private mutating func add(
        _ from: State, _ inner: TextPattern, least: Int, most: Int?, _ to: State
    ) throws(LanguageError) {
        var last = try makeState()
        join(from, last)
        for _ in 0..<least {
            let next = try makeState()
            try add(last, inner, next)
            last = next
        }
        if let most {
            for _ in least..<max(most, least) {
                join(last, to)
                let next = try makeState()
                try add(last, inner, next)
                last = next
            }
        } else {
            let loop = try makeState()
            join(last, loop)
            try add(loop, inner, loop)
            last = loop
        }
        join(last, to)
    }

    private mutating func add(
        _ from: State, _ set: ScalarSet, _ to: State
    ) throws(LanguageError) {
        var byte: UInt8 = 0
        while byte < 128 {
            guard set.hasASCII(byte) else {
                byte += 1
                continue
            }
            var last = byte
            while last < 127, set.hasASCII(last + 1) { last += 1 }
            add(from, byte...last, to)
            byte = last + 1
        }
        if set.isNegated != set.hasAllWide {
            // Negated characters beyond ASCII are let through with the others.
            try addWide(from, to)
        } else if !set.isNegated {
            for scalar in set.wide { try add(from, String(Character(scalar)), to) }
        }
    }
}

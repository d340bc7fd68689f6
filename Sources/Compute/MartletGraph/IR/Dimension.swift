// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A tensor dimension: a whole number plus whole multiples of named sizes ("2·seq + 1").
///
/// A size that follows from nothing known is a fresh symbol of its own.
public struct Dimension: Hashable, Sendable, CustomStringConvertible {
    /// One symbol's share; coefficients are never zero, terms are sorted by symbol.
    public struct Term: Hashable, Sendable {
        public var symbol: String
        public var coefficient: Int

        public init(symbol: String, coefficient: Int) {
            self.symbol = symbol
            self.coefficient = coefficient
        }
    }

    public var constant: Int
    public var terms: [Term]

    public init(_ constant: Int) {
        self.constant = constant
        terms = []
    }

    public init(symbol: String) {
        constant = 0
        terms = [Term(symbol: symbol, coefficient: 1)]
    }

    public init(constant: Int, terms: [Term]) {
        self.constant = constant
        self.terms = terms
    }

    /// The number, when no symbol takes part.
    public var fixed: Int? { terms.isEmpty ? constant : nil }

    /// The symbol, when the dimension is that symbol alone.
    public var symbol: String? {
        constant == 0 && terms.count == 1 && terms[0].coefficient == 1 ? terms[0].symbol : nil
    }

    public var description: String {
        if terms.isEmpty { return String(constant) }
        var text = terms.map { $0.coefficient == 1 ? $0.symbol : "\($0.coefficient)·\($0.symbol)" }
            .joined(separator: "+")
        if constant != 0 { text += constant > 0 ? "+\(constant)" : "\(constant)" }
        return text
    }
}

extension Dimension: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int) { self.init(value) }
}

// MARK: Arithmetic: nil where the result overflows or is not of this form

extension Dimension {
    public func adding(_ other: Dimension) -> Dimension? {
        let (sum, overflow) = constant.addingReportingOverflow(other.constant)
        if overflow { return nil }
        if other.terms.isEmpty { return Dimension(constant: sum, terms: terms) }
        if terms.isEmpty { return Dimension(constant: sum, terms: other.terms) }
        var merged: [Term] = []
        var left = terms[...]
        var right = other.terms[...]
        while let first = left.first, let second = right.first {
            if first.symbol == second.symbol {
                let (both, overflow) = first.coefficient.addingReportingOverflow(second.coefficient)
                if overflow { return nil }
                if both != 0 { merged.append(Term(symbol: first.symbol, coefficient: both)) }
                left.removeFirst()
                right.removeFirst()
            } else if first.symbol < second.symbol {
                merged.append(left.removeFirst())
            } else {
                merged.append(right.removeFirst())
            }
        }
        return Dimension(constant: sum, terms: merged + left + right)
    }

    public func adding(_ other: Int) -> Dimension? { adding(Dimension(other)) }

    public func subtracting(_ other: Dimension) -> Dimension? {
        guard let negated = other.multiplied(by: -1) else { return nil }
        return adding(negated)
    }

    public func multiplied(by factor: Int) -> Dimension? {
        let (product, overflow) = constant.multipliedReportingOverflow(by: factor)
        if overflow { return nil }
        if terms.isEmpty || factor == 0 { return Dimension(product) }
        var scaled = terms
        for index in scaled.indices {
            let (part, overflow) = scaled[index].coefficient.multipliedReportingOverflow(by: factor)
            if overflow { return nil }
            scaled[index].coefficient = part
        }
        return Dimension(constant: product, terms: scaled)
    }

    public func multiplied(by other: Dimension) -> Dimension? {
        if let factor = other.fixed { return multiplied(by: factor) }
        if let factor = fixed { return other.multiplied(by: factor) }
        return nil
    }

    /// The quotient rounded down; nil when a symbol's share does not divide evenly.
    public func dividedRoundingDown(by divisor: Int) -> Dimension? {
        guard divisor > 0 else { return nil }
        if divisor == 1 { return self }
        var scaled = terms
        for index in scaled.indices {
            guard scaled[index].coefficient % divisor == 0 else { return nil }
            scaled[index].coefficient /= divisor
        }
        let quotient = constant / divisor
        let floor = constant % divisor < 0 ? quotient - 1 : quotient
        return Dimension(constant: floor, terms: scaled)
    }
}

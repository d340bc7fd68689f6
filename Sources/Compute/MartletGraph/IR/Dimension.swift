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

    public var description: String {
        if terms.isEmpty { return String(constant) }
        var text = terms.map { $0.coefficient == 1 ? $0.symbol : "\($0.coefficient)·\($0.symbol)" }
            .joined(separator: "+")
        if constant != 0 { text += constant > 0 ? "+\(constant)" : "\(constant)" }
        return text
    }
}

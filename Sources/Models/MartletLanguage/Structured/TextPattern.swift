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
    /// `^` and `$`, until `resolved`.
    case begin
    case end
}

extension TextPattern {
    private static let nothing = TextPattern.sequence([])
    private static let anything = TextPattern.repeated(.oneOf(.any), least: 0, most: nil)

    /// The pattern of whole texts, without anchors.
    /// - Parameter searches: the pattern may be found anywhere where no anchor says otherwise; if
    ///   not, the whole text is the pattern's.
    /// - Throws: `LanguageError` for anchors elsewhere than at an end.
    func resolved(searches: Bool) throws(LanguageError) -> TextPattern {
        if !searches, !hasAnchor { return self }
        let result = try edge(.begin, searches).edge(.end, searches)
        if result.hasAnchor { throw TextPattern.anchorInside }
        return result
    }

    private static let anchorInside = LanguageError(
        .invalidInput, "regex: '^' and '$' are supported at the ends of a pattern only")

    private enum Side { case begin, end }

    private var hasAnchor: Bool {
        switch self {
        case .begin, .end: true
        case .sequence(let parts), .either(let parts): parts.contains { $0.hasAnchor }
        case .repeated(let inner, _, _): inner.hasAnchor
        case .text, .oneOf, .rule: false
        }
    }

    private func isAnchor(_ side: Side) -> Bool {
        switch (self, side) {
        case (.begin, .begin), (.end, .end): true
        default: false
        }
    }

    /// Takes the anchors of one end away, and adds what may be there where there is none.
    private func edge(_ side: Side, _ searches: Bool) throws(LanguageError) -> TextPattern {
        if isAnchor(side) { return .sequence([]) }
        switch self {
        case .either(let options):
            var all: [TextPattern] = []
            for option in options { all.append(try option.edge(side, searches)) }
            return .either(all)
        case .sequence(var parts) where !parts.isEmpty:
            var isAnchored = false
            while let part = side == .begin ? parts.first : parts.last, part.isAnchor(side) {
                isAnchored = true
                parts.remove(at: side == .begin ? 0 : parts.count - 1)
            }
            guard !parts.isEmpty else { return .sequence([]) }
            let place = side == .begin ? 0 : parts.count - 1
            parts[place] = try parts[place].edge(side, searches && !isAnchored)
            return .sequence(parts)
        case .repeated(let inner, let least, let most) where inner.hasAnchor:
            guard most == 1 else { throw TextPattern.anchorInside }
            let once = try inner.edge(side, searches)
            if least == 1 { return once }
            return .either([once, searches ? TextPattern.anything : TextPattern.nothing])
        default:
            guard searches else { return self }
            return .sequence(
                side == .begin ? [TextPattern.anything, self] : [self, TextPattern.anything])
        }
    }
}

extension ByteAutomaton {
    /// Builds a pattern between two states. Cost: what it adds, which is bounded.
    /// - Parameter isJSON: inside a JSON string, escaped where characters must be.
    mutating func add(
        _ from: State, _ pattern: TextPattern, isJSON: Bool = false, _ to: State
    ) throws(LanguageError) {
        switch pattern {
        case .text(let text):
            guard isJSON else { return try add(from, text, to) }
            var last = from
            for scalar in text.unicodeScalars {
                let next = try makeState()
                try add(last, [scalar.value...scalar.value], isJSON: true, next)
                last = next
            }
            join(last, to)
        case .oneOf(let set): try add(from, set.resolved, isJSON: isJSON, to)
        case .sequence(let parts):
            var last = from
            for part in parts {
                let next = try makeState()
                try add(last, part, isJSON: isJSON, next)
                last = next
            }
            join(last, to)
        case .either(let options):
            for option in options { try add(from, option, isJSON: isJSON, to) }
        case .repeated(let inner, let least, let most):
            try add(from, inner, isJSON: isJSON, least: least, most: most, to)
        case .rule(let rule): call(rule, from, to)
        case .begin, .end: join(from, to)
        }
    }

    private mutating func add(
        _ from: State, _ inner: TextPattern, isJSON: Bool, least: Int, most: Int?, _ to: State
    ) throws(LanguageError) {
        var last = try makeState()
        join(from, last)
        for _ in 0..<least {
            let next = try makeState()
            try add(last, inner, isJSON: isJSON, next)
            last = next
        }
        if let most {
            for _ in least..<max(most, least) {
                join(last, to)
                let next = try makeState()
                try add(last, inner, isJSON: isJSON, next)
                last = next
            }
        } else {
            let loop = try makeState()
            join(last, loop)
            try add(loop, inner, isJSON: isJSON, loop)
            last = loop
        }
        join(last, to)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Numbers, strings, and the space between tokens.
extension SchemaCompiler {
    /// Characters, elements and members that are counted.
    static let countMax = 10_000

    /// Nothing, a space, or a new line with its margin.
    mutating func space(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        automaton.join(from, to)
        automaton.add(from, 0x20...0x20, to)
        let line = try automaton.makeState()
        automaton.add(from, 0x0A...0x0A, line)
        automaton.add(line, 0x20...0x20, line)
        automaton.join(line, to)
    }

    // MARK: Numbers

    mutating func anyNumber(
        _ from: State, _ to: State, isWhole: Bool, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let pattern = #"-?(0|[1-9][0-9]{0,17})"#
        try RegexCompiler.add(
            isWhole ? pattern : pattern + #"(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?"#, from, to,
            to: &automaton)
    }

    mutating func number(
        _ shape: SchemaShape, isWhole: Bool, _ schema: LocatedSchema, _ from: State, _ to: State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        if let multiple = shape.multiple, multiple != 1 {
            return try multiples(of: multiple, shape, schema, from, to, &automaton)
        }
        let isWhole = isWhole || shape.multiple == 1
        guard shape.low != nil || shape.high != nil else {
            return try anyNumber(from, to, isWhole: isWhole, &automaton)
        }
        var (low, high): (NumberLimit?, NumberLimit?)
        if let bound = shape.low {
            let limit = try NumberLimit(bound, schema.member("minimum", bound.value))
            guard limit.isNegative || !limit.isFar else {
                throw schema.member("minimum", bound.value).fail("numbers so large are not written")
            }
            low = limit.isFar ? nil : limit
        }
        if let bound = shape.high {
            let limit = try NumberLimit(bound, schema.member("maximum", bound.value))
            guard !limit.isNegative || !limit.isFar else {
                throw schema.member("maximum", bound.value).fail("numbers so large are not written")
            }
            high = limit.isFar ? nil : limit
        }
        let zero = NumberLimit.zero
        if high == nil || high?.isNegative == false {
            // From 0 up, or from a lower limit above.
            let least = low.map { $0.isNegative ? zero : $0 } ?? zero
            try automaton.addNumber(from, least, high, isWhole: isWhole, to)
        }
        if low == nil || low?.isNegative == true {
            let sign = try automaton.makeState()
            automaton.add(from, 0x2D...0x2D, sign)
            var least = high.map { $0.isNegative ? $0 : zero } ?? zero
            // No zero with a sign.
            if !(high?.isNegative ?? false) { least.isExclusive = true }
            try automaton.addNumber(sign, least, low, isWhole: isWhole, to)
        }
    }

    /// Whole multiples of a number: listed where the limits leave few, counted by their remainder
    /// where there are no limits.
    private mutating func multiples(
        of step: Int64, _ shape: SchemaShape, _ schema: LocatedSchema, _ from: State, _ to: State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let place = schema.member("multipleOf", .integer(step))
        if let low = shape.low, let high = shape.high, step > 0,
            abs(low.number) < 1e15, abs(high.number) < 1e15,
            (high.number - low.number) / Double(step) <= 4096
        {
            var value = Int64((low.number / Double(step)).rounded(.up)) * step
            while Double(value) <= high.number {
                let isIn =
                    (Double(value) > low.number || !low.isExclusive)
                    && (Double(value) < high.number || !high.isExclusive)
                    && Double(value) >= low.number
                if isIn { try automaton.add(from, "\(value)", to) }
                value += step
            }
            return
        }
        let isFromZero = shape.low.map { $0.number == 0 } ?? true
        guard step > 0, step <= 512, shape.high == nil, isFromZero else {
            throw place.exceeds(
                "multiples are supported up to 512 with no limits, or 0 as the least, and within "
                    + "limits that leave at most 4096 of them")
        }
        if !(shape.low?.isExclusive ?? false) { try automaton.add(from, "0", to) }
        var states: [State] = []
        for _ in 0..<step { states.append(try automaton.makeState()) }
        let start = try automaton.makeState()
        automaton.join(from, start)
        if shape.low == nil { automaton.add(from, 0x2D...0x2D, start) }
        for digit in 0...9 {
            let byte = UInt8(0x30 + digit)
            if digit > 0 { automaton.add(start, byte...byte, states[digit % Int(step)]) }
            for rest in 0..<Int(step) {
                automaton.add(states[rest], byte...byte, states[(rest * 10 + digit) % Int(step)])
            }
        }
        automaton.join(states[0], to)
    }

    // MARK: Strings

    /// One character of a string's inside.
    private mutating func character(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        if let characterRule { return automaton.call(characterRule, from, to) }
        let rule = try automaton.makeRule()
        characterRule = rule
        automaton.call(rule, from, to)
        try anyCharacter(automaton.rules[rule].start, automaton.rules[rule].end, &automaton)
    }

    private func anyCharacter(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        try automaton.add(from, [0x20...0x21, 0x23...0x5B, 0x5D...0x10FFFF], to)
        let escape = try automaton.makeState()
        automaton.add(from, 0x5C...0x5C, escape)
        for byte in "\"\\/bfnrt".utf8 { automaton.add(escape, byte...byte, to) }
        // Code points of the basic plane that are no surrogates.
        let hex = #"[0-9a-cA-Ce-fE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"#
        let code = try automaton.makeState()
        automaton.add(escape, UInt8(ascii: "u")...UInt8(ascii: "u"), code)
        try RegexCompiler.add(hex, code, to, to: &automaton)
    }

    func anyString(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let inside = try automaton.makeState()
        automaton.add(from, 0x22...0x22, inside)
        try anyCharacter(inside, inside, &automaton)
        automaton.add(inside, 0x22...0x22, to)
    }

    mutating func string(
        _ shape: SchemaShape, _ schema: LocatedSchema, _ from: State, _ to: State,
        _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let (least, most) = (shape.lengthMin, shape.lengthMax)
        guard most ?? least >= least else { return }
        guard least <= SchemaCompiler.countMax, most ?? 0 <= SchemaCompiler.countMax else {
            throw schema.member(most == nil ? "minLength" : "maxLength", .null).exceeds(
                "more than \(SchemaCompiler.countMax) characters cannot be counted")
        }
        var patterns: [TextPattern] = []
        for pattern in shape.patterns {
            do throws(LanguageError) {
                patterns.append(try RegexCompiler.parse(pattern, searches: true))
            } catch {
                throw LanguageError(
                    error.code, schema.member("pattern", .null).fail(error.message).message)
            }
        }
        for format in shape.formats {
            guard let pattern = SchemaFormats.patterns[format] else { continue }
            patterns.append(try RegexCompiler.parse(pattern))
        }
        let isCounted = least > 0 || most != nil
        if patterns.isEmpty, !isCounted { return try anyString(from, to, &automaton) }
        let begin = try automaton.makeState()
        let finish = try automaton.makeState()
        automaton.add(from, 0x22...0x22, begin)
        automaton.add(finish, 0x22...0x22, to)
        if patterns.isEmpty {
            return try characters(begin, finish, least: least, most: most, &automaton)
        }
        if patterns.count == 1, !isCounted {
            return try automaton.add(begin, patterns[0], isJSON: true, finish)
        }
        if isCounted { patterns.append(.repeated(.oneOf(.any), least: least, most: most)) }
        var all = try CharacterAutomaton(patterns[0])
        for pattern in patterns.dropFirst() {
            all = try all.intersection(try CharacterAutomaton(pattern))
        }
        try all.add(begin, finish, &automaton)
    }

    private mutating func characters(
        _ from: State, _ to: State, least: Int, most: Int?, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        var last = from
        for _ in 0..<least {
            let next = try automaton.makeState()
            try character(last, next, &automaton)
            last = next
        }
        if let most {
            for _ in least..<max(most, least) {
                automaton.join(last, to)
                let next = try automaton.makeState()
                try character(last, next, &automaton)
                last = next
            }
        } else {
            let loop = try automaton.makeState()
            automaton.join(last, loop)
            try anyCharacter(loop, loop, &automaton)
            last = loop
        }
        automaton.join(last, to)
    }
}

/// Formats of strings that answers keep to; others are remarks, as JSON Schema has it.
enum SchemaFormats {
    private static let date =
        #"[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"#
    private static let time =
        #"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"#
    private static let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

    static let patterns: [String: String] = [
        "date": date, "time": time, "date-time": date + "T" + time,
        "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "ipv4": "\(byte)(\\.\(byte)){3}",
        "email":
            #"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"#,
        "hostname":
            #"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"#,
    ]
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Numbers, strings, and the space between tokens.
extension SchemaCompiler {
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

    mutating func number(
        _ from: State, _ to: State, isWhole: Bool, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let pattern = #"-?(0|[1-9][0-9]{0,17})"#
        try RegexCompiler.add(
            isWhole ? pattern : pattern + #"(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?"#, from, to,
            to: &automaton)
    }

    /// One character of a string's inside.
    func character(
        _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        automaton.add(from, 0x20...0x21, to)
        automaton.add(from, 0x23...0x5B, to)
        automaton.add(from, 0x5D...0x7F, to)
        try automaton.addWide(from, to)
        let escape = try automaton.makeState()
        automaton.add(from, 0x5C...0x5C, escape)
        for byte in "\"\\/bfnrt".utf8 { automaton.add(escape, byte...byte, to) }
        // Code points of the basic plane that are no surrogates.
        let hex = #"[0-9a-cA-Ce-fE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"#
        let code = try automaton.makeState()
        automaton.add(escape, UInt8(ascii: "u")...UInt8(ascii: "u"), code)
        try RegexCompiler.add(hex, code, to, to: &automaton)
    }

    mutating func string(
        _ object: JSONObject, _ from: State, _ to: State, _ automaton: inout ByteAutomaton
    ) throws(LanguageError) {
        let begin = try automaton.makeState()
        let finish = try automaton.makeState()
        automaton.add(from, 0x22...0x22, begin)
        automaton.add(finish, 0x22...0x22, to)
        if let pattern = object["pattern"]?.stringValue {
            // Not anchored patterns may have anything around them; that is cut off here.
            return try RegexCompiler.add(pattern, begin, finish, to: &automaton)
        }
        let least = max(object["minLength"]?.intValue ?? 0, 0)
        let most = object["maxLength"]?.intValue
        guard least <= SchemaCompiler.countMax, most ?? 0 <= 4 * SchemaCompiler.countMax else {
            // Too long to count: any length.
            return try characters(begin, finish, least: 0, most: nil, &automaton)
        }
        try characters(begin, finish, least: least, most: most, &automaton)
    }

    func characters(
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
            try character(loop, loop, &automaton)
            last = loop
        }
        automaton.join(last, to)
    }
}

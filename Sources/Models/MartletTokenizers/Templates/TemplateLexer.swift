// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A piece of a template's source.
struct TemplateToken: Sendable {
    enum Kind: Sendable, Equatable {
        case text(String)
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String)
        case string(String)
        case integer(Int)
        case number(Double)
        case symbol(String)
        case end
    }

    var kind: Kind
    var line: Int
}

/// Splits a template as Jinja does with `trim_blocks` and `lstrip_blocks`: the newline behind a
/// block goes, and so do spaces before one that begins its line.
struct TemplateLexer {
    private let bytes: [UInt8]
    private var place = 0
    private var line = 1
    private var tokens: [TemplateToken] = []

    static func tokens(of source: String) throws(TemplateError) -> [TemplateToken] {
        var lexer = TemplateLexer(source)
        try lexer.run()
        return lexer.tokens
    }

    private init(_ source: String) {
        // Line ends are newlines, and the last one of a file belongs to the file.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.utf8.count)
        var previous: UInt8 = 0
        for byte in source.utf8 {
            if byte == 0x0A, previous == 0x0D {
                previous = byte
                continue
            }
            bytes.append(byte == 0x0D ? 0x0A : byte)
            previous = byte
        }
        if bytes.last == 0x0A { bytes.removeLast() }
        self.bytes = bytes
    }

    private func fail(_ message: String) -> TemplateError {
        TemplateError(.syntax, message, line: line)
    }

    private func has(_ text: StaticString, at place: Int) -> Bool {
        guard place + text.utf8CodeUnitCount <= bytes.count else { return false }
        let pattern = unsafe UnsafeBufferPointer(
            start: text.utf8Start, count: text.utf8CodeUnitCount)
        for offset in 0..<text.utf8CodeUnitCount
        where unsafe bytes[place + offset] != pattern[offset] {
            return false
        }
        return true
    }

    private mutating func add(_ kind: TemplateToken.Kind) {
        tokens.append(TemplateToken(kind: kind, line: line))
    }

    private mutating func advance(to end: Int) {
        for index in place..<end where bytes[index] == 0x0A { line += 1 }
        place = end
    }

    private mutating func run() throws(TemplateError) {
        while place < bytes.count {
            var tag = place
            while tag < bytes.count, !isTag(tag) { tag += 1 }
            guard tag < bytes.count else {
                emitText(to: tag, trimsEnd: false)
                break
            }
            let mark = tag + 2 < bytes.count ? bytes[tag + 2] : 0
            let isVariable = bytes[tag + 1] == UInt8(ascii: "{")
            var textEnd = tag
            if mark == UInt8(ascii: "-") {
                while textEnd > place, TemplateLexer.isSpace(bytes[textEnd - 1]) { textEnd -= 1 }
            } else if !isVariable, mark != UInt8(ascii: "+") {
                var start = tag
                while start > place, bytes[start - 1] == 0x20 || bytes[start - 1] == 0x09 {
                    start -= 1
                }
                if start == 0 || bytes[start - 1] == 0x0A { textEnd = start }
            }
            emitText(to: textEnd, trimsEnd: false)
            let hasMark = mark == UInt8(ascii: "-") || mark == UInt8(ascii: "+")
            advance(to: tag + (hasMark ? 3 : 2))
            switch bytes[tag + 1] {
            case UInt8(ascii: "#"): try skipComment()
            case UInt8(ascii: "{"):
                add(.variableBegin)
                try readTag(isBlock: false)
            default:
                if try readRaw() { continue }
                add(.blockBegin)
                try readTag(isBlock: true)
            }
        }
        add(.end)
    }

    private func isTag(_ place: Int) -> Bool {
        bytes[place] == UInt8(ascii: "{") && place + 1 < bytes.count
            && (bytes[place + 1] == UInt8(ascii: "%") || bytes[place + 1] == UInt8(ascii: "{")
                || bytes[place + 1] == UInt8(ascii: "#"))
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0D).contains(byte)
    }

    private mutating func emitText(to end: Int, trimsEnd: Bool) {
        if end > place {
            add(.text(String(decoding: bytes[place..<end], as: UTF8.self)))
        }
        advance(to: max(end, place))
    }

    /// Behind a tag: `-` takes all white space, a block one newline.
    private mutating func endTag(at end: Int, trims: Bool, isBlock: Bool, keeps: Bool = false) {
        advance(to: end)
        if trims {
            var next = place
            while next < bytes.count, TemplateLexer.isSpace(bytes[next]) { next += 1 }
            advance(to: next)
        } else if isBlock, !keeps, place < bytes.count, bytes[place] == 0x0A {
            advance(to: place + 1)
        }
    }

    private mutating func skipComment() throws(TemplateError) {
        var end = place
        while end < bytes.count, !has("#}", at: end) { end += 1 }
        guard end < bytes.count else { throw fail("a comment without end") }
        let trims = end > place && bytes[end - 1] == UInt8(ascii: "-")
        endTag(at: end + 2, trims: trims, isBlock: true)
    }

    /// `{% raw %}` up to `{% endraw %}`, as it stands.
    private mutating func readRaw() throws(TemplateError) -> Bool {
        var next = place
        func skipSpaces() {
            while next < bytes.count, TemplateLexer.isSpace(bytes[next]) { next += 1 }
        }
        skipSpaces()
        guard has("raw", at: next) else { return false }
        next += 3
        skipSpaces()
        let trims = has("-%}", at: next)
        guard trims || has("%}", at: next) else { return false }
        endTag(at: next + (trims ? 3 : 2), trims: trims, isBlock: true)
        var end = place
        while end < bytes.count {
            if has("{%", at: end) {
                next = end + 2
                let trimsBefore = has("-", at: next)
                if trimsBefore { next += 1 }
                skipSpaces()
                if has("endraw", at: next) {
                    next += 6
                    skipSpaces()
                    let trimsAfter = has("-%}", at: next)
                    if trimsAfter || has("%}", at: next) {
                        var textEnd = end
                        while trimsBefore, textEnd > place,
                            TemplateLexer.isSpace(bytes[textEnd - 1])
                        {
                            textEnd -= 1
                        }
                        emitText(to: textEnd, trimsEnd: false)
                        endTag(at: next + (trimsAfter ? 3 : 2), trims: trimsAfter, isBlock: true)
                        return true
                    }
                }
            }
            end += 1
        }
        throw fail("raw without endraw")
    }

    // MARK: Inside a tag

    private mutating func readTag(isBlock: Bool) throws(TemplateError) {
        var brackets = 0
        while true {
            while place < bytes.count, TemplateLexer.isSpace(bytes[place]) {
                advance(to: place + 1)
            }
            guard place < bytes.count else { throw fail("a tag without end") }
            if brackets == 0, let (length, trims, keeps) = tagEnd(isBlock: isBlock) {
                add(isBlock ? .blockEnd : .variableEnd)
                endTag(at: place + length, trims: trims, isBlock: isBlock, keeps: keeps)
                return
            }
            let byte = bytes[place]
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "_"), 0x80...:
                readName()
            case UInt8(ascii: "0")...UInt8(ascii: "9"): try readNumber()
            case UInt8(ascii: "'"), UInt8(ascii: "\""): try readString(byte)
            default: try readSymbol(&brackets)
            }
        }
    }

    private func tagEnd(isBlock: Bool) -> (length: Int, trims: Bool, keeps: Bool)? {
        if isBlock {
            if has("%}", at: place) { return (2, false, false) }
            if has("-%}", at: place) { return (3, true, false) }
            if has("+%}", at: place) { return (3, false, true) }
        } else {
            if has("}}", at: place) { return (2, false, false) }
            if has("-}}", at: place) { return (3, true, false) }
        }
        return nil
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte >= 0x80
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private mutating func readName() {
        var end = place
        while end < bytes.count, TemplateLexer.isNameByte(bytes[end]) { end += 1 }
        add(.name(String(decoding: bytes[place..<end], as: UTF8.self)))
        place = end
    }

    private mutating func readNumber() throws(TemplateError) {
        var end = place
        var isDecimal = false
        func isDigit(_ place: Int) -> Bool {
            place < bytes.count && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[place])
        }
        while isDigit(end) || (end < bytes.count && bytes[end] == UInt8(ascii: "_")) { end += 1 }
        if end + 1 < bytes.count, bytes[end] == UInt8(ascii: "."), isDigit(end + 1) {
            isDecimal = true
            end += 1
            while isDigit(end) { end += 1 }
        }
        if end < bytes.count, bytes[end] | 0x20 == UInt8(ascii: "e") {
            var next = end + 1
            if next < bytes.count,
                bytes[next] == UInt8(ascii: "+") || bytes[next] == UInt8(ascii: "-")
            {
                next += 1
            }
            if isDigit(next) {
                isDecimal = true
                end = next
                while isDigit(end) { end += 1 }
            }
        }
        let text = String(
            decoding: bytes[place..<end].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
        place = end
        if isDecimal, let value = Double(text) {
            add(.number(value))
        } else if let value = Int(text) {
            add(.integer(value))
        } else {
            throw fail("the number \(text) is too large")
        }
    }

    private mutating func readString(_ quote: UInt8) throws(TemplateError) {
        var content: [UInt8] = []
        var index = place + 1
        while index < bytes.count, bytes[index] != quote {
            guard bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count else {
                content.append(bytes[index])
                index += 1
                continue
            }
            index = try appendEscape(at: index + 1, to: &content)
        }
        guard index < bytes.count else { throw fail("a string without end") }
        add(.string(String(decoding: content, as: UTF8.self)))
        advance(to: index + 1)
    }

    /// - Returns: the place behind the escape.
    private func appendEscape(
        at place: Int, to content: inout [UInt8]
    ) throws(TemplateError) -> Int {
        let escape = bytes[place]
        var digits = 0
        switch escape {
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "v"): content.append(0x0B)
        case UInt8(ascii: "a"): content.append(0x07)
        case UInt8(ascii: "0"): content.append(0)
        case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): content.append(escape)
        case 0x0A: break
        case UInt8(ascii: "x"): digits = 2
        case UInt8(ascii: "u"): digits = 4
        case UInt8(ascii: "U"): digits = 8
        default: content += [UInt8(ascii: "\\"), escape]
        }
        guard digits > 0 else { return place + 1 }
        let end = place + 1 + digits
        guard end <= bytes.count,
            let code = UInt32(String(decoding: bytes[place + 1..<end], as: UTF8.self), radix: 16),
            let scalar = Unicode.Scalar(code)
        else { throw fail("an escape that names no character") }
        content += Array(String(Character(scalar)).utf8)
        return end
    }

    private static let symbols: [StaticString] = [
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")",
        "[", "]", "{", "}", ".", ",", ":", "|",
    ]

    private mutating func readSymbol(_ brackets: inout Int) throws(TemplateError) {
        for symbol in TemplateLexer.symbols where has(symbol, at: place) {
            switch bytes[place] {
            case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): brackets += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): brackets -= 1
            default: break
            }
            add(.symbol("\(symbol)"))
            place += symbol.utf8CodeUnitCount
            return
        }
        throw fail("an unexpected '\(Character(Unicode.Scalar(bytes[place])))'")
    }
}

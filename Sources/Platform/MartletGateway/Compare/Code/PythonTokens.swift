// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Python's tokens, with its indentation as tokens (Python's language reference, chapter 2).
enum PythonTokens {
    /// Nil for what is no Python: strings without an end, brackets or indentations that do not
    /// match, or too much of it.
    static func read(_ bytes: [UInt8]) -> [CodeToken]? {
        guard bytes.count <= CodeReader.bytesMax else { return nil }
        var reader = Reader(CodeReader(bytes))
        return reader.run() ? reader.code.tokens : nil
    }

    private struct Reader {
        var code: CodeReader
        private var brackets: [UInt8] = []
        private var indents: [Int] = []

        init(_ code: CodeReader) { self.code = code }

        mutating func run() -> Bool {
            while !code.isAtEnd {
                guard code.tokens.count < CodeReader.tokensMax else { return false }
                if code.startsLine, brackets.isEmpty {
                    guard beginLine() else { return false }
                    if code.isAtEnd { break }
                }
                guard readToken() else { return false }
            }
            guard brackets.isEmpty else { return false }
            endLine()
            for _ in indents.dropFirst() { code.add(.dedent, "") }
            return true
        }

        /// Passes over empty lines and turns the indentation into tokens.
        private mutating func beginLine() -> Bool {
            while !code.isAtEnd {
                var width = 0
                while code.byte == 0x20 || code.byte == 0x09 || code.byte == 0x0C {
                    width = code.byte == 0x09 ? (width / 8 + 1) * 8 : width + 1
                    code.place += 1
                }
                if code.byte == UInt8(ascii: "#") { skipComment() }
                if code.byte == 0x0D { code.place += 1 }
                if code.isAtEnd { return true }
                if code.byte == 0x0A {
                    code.step()
                    continue
                }
                return indent(to: width)
            }
            return true
        }

        private mutating func indent(to width: Int) -> Bool {
            guard let current = indents.last else {
                indents = [width]
                return true
            }
            if width > current {
                indents.append(width)
                code.add(.indent, "")
                code.startsLine = true
            }
            while let last = indents.last, width < last {
                indents.removeLast()
                if indents.isEmpty { return false }
                code.add(.dedent, "")
                code.startsLine = true
            }
            return indents.last == width
        }

        private mutating func skipComment() {
            while !code.isAtEnd, code.byte != 0x0A { code.place += 1 }
        }

        private mutating func endLine() {
            if let last = code.tokens.last, last.kind != .newline, last.kind != .dedent {
                code.add(.newline, "")
            }
            code.startsLine = true
        }

        private mutating func readToken() -> Bool {
            let byte = code.byte
            switch byte {
            case 0x20, 0x09, 0x0C, 0x0D:
                code.place += 1
            case 0x0A:
                if brackets.isEmpty { endLine() }
                code.step()
            case UInt8(ascii: "#"): skipComment()
            case UInt8(ascii: "\\"):
                code.place += 1
                if code.byte == 0x0D { code.place += 1 }
                guard code.byte == 0x0A else { return false }
                code.step()
            case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"):
                guard brackets.count < CodeTree.depthMax else { return false }
                brackets.append(byte)
                code.place += 1
                code.add(.open, String(UnicodeScalar(byte)))
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
                guard let open = brackets.popLast(), open + (byte == 0x29 ? 1 : 2) == byte else {
                    return false
                }
                code.place += 1
                code.add(.close, String(UnicodeScalar(byte)))
            case UInt8(ascii: "\""), UInt8(ascii: "'"): return readString(prefix: "")
            default: return readWord(byte)
            }
            return true
        }

        private mutating func readWord(_ byte: UInt8) -> Bool {
            if CodeReader.isNameStart(byte) {
                if let prefix = stringPrefix() {
                    code.place += prefix.utf8.count
                    return readString(prefix: prefix)
                }
                code.readName()
            } else if CodeReader.isDigit(byte)
                || byte == UInt8(ascii: ".") && CodeReader.isDigit(code.peek(1))
            {
                code.readNumber()
            } else {
                readSymbol()
            }
            return true
        }

        private static let symbols: [StaticString] = [
            "**=", "//=", ">>=", "<<=", "...", "!=", "==", "<=", ">=", "->", ":=", "**", "//",
            "<<", ">>", "+=", "-=", "*=", "/=", "%=", "@=", "&=", "|=", "^=",
        ]

        private mutating func readSymbol() {
            for symbol in Reader.symbols where code.begins(symbol) {
                code.place += symbol.utf8CodeUnitCount
                code.add(.symbol, symbol.description)
                return
            }
            let byte = code.byte
            code.place += 1
            code.add(.symbol, String(UnicodeScalar(byte)))
        }

        /// The letters before a string's quote; nil when no string begins here.
        private func stringPrefix() -> String? {
            var length = 0
            while length < 3, CodeReader.isNameStart(code.peek(length)) { length += 1 }
            guard length <= 2,
                code.peek(length) == UInt8(ascii: "\"")
                    || code.peek(length) == UInt8(ascii: "'")
            else { return nil }
            let prefix = code.text(code.place..<(code.place + length))
            return prefix.lowercased().allSatisfy { "rbuft".contains($0) } ? prefix : nil
        }

        private mutating func readString(prefix: String) -> Bool {
            let line = code.line
            let quote = code.byte
            let isTriple = code.peek(1) == quote && code.peek(2) == quote
            let start = code.place + (isTriple ? 3 : 1)
            guard skipString(isFormatted: prefix.lowercased().contains("f"), depth: 0) else {
                return false
            }
            let content = code.text(start..<(code.place - (isTriple ? 3 : 1)))
            let letters = prefix.lowercased().filter { $0 != "u" }.sorted()
            let isPlain = content.utf8.allSatisfy {
                $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "'")
            }
            // The same text in other quotes is the same text.
            let mark = isPlain ? "\"" : String(UnicodeScalar(quote)) + (isTriple ? "3" : "")
            code.add(.string, String(letters) + mark + content + mark)
            code.tokens[code.tokens.count - 1].line = line
            return true
        }

        /// Passes over a string from its quote on; expressions in f-strings may hold strings.
        private mutating func skipString(isFormatted: Bool, depth: Int) -> Bool {
            guard depth < CodeReader.nestingMax else { return false }
            let quote = code.byte
            let isTriple = code.peek(1) == quote && code.peek(2) == quote
            code.place += isTriple ? 3 : 1
            var braces = 0
            while !code.isAtEnd {
                let byte = code.byte
                if byte == UInt8(ascii: "\\") {
                    code.place += 1
                    code.step()
                } else if byte == quote, braces == 0 {
                    if !isTriple {
                        code.place += 1
                        return true
                    }
                    if code.peek(1) == quote, code.peek(2) == quote {
                        code.place += 3
                        return true
                    }
                    code.place += 1
                } else if isFormatted, byte == UInt8(ascii: "{"), code.peek(1) == byte, braces == 0
                {
                    code.place += 2
                } else if isFormatted, byte == UInt8(ascii: "{") {
                    braces += 1
                    code.place += 1
                } else if isFormatted, byte == UInt8(ascii: "}"), braces > 0 {
                    braces -= 1
                    code.place += 1
                } else if braces > 0, byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                    if byte == quote, !endsLater(quote) {
                        // Before Python 3.12 the outer quote ends the string wherever it stands.
                        code.place += 1
                        return true
                    }
                    guard skipString(isFormatted: false, depth: depth + 1) else { return false }
                } else if byte == 0x0A, !isTriple {
                    return false
                } else {
                    code.step()
                }
            }
            return false
        }

        /// Whether another quote of this kind comes on the line.
        private func endsLater(_ quote: UInt8) -> Bool {
            var ahead = 1
            while code.place + ahead < code.bytes.count, code.peek(ahead) != 0x0A {
                if code.peek(ahead) == quote { return true }
                ahead += 1
            }
            return false
        }
    }
}

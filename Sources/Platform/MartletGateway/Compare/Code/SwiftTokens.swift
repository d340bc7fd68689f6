// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Swift's tokens (The Swift Programming Language, Lexical Structure). Operators are taken apart
/// into their characters where they may also close generic arguments or chain optionals.
enum SwiftTokens {
    /// Nil for what is no Swift: strings or comments without an end, brackets that do not match, or
    /// too much of it.
    static func read(_ bytes: [UInt8]) -> [CodeToken]? {
        guard bytes.count <= CodeReader.bytesMax else { return nil }
        var reader = Reader(CodeReader(bytes))
        return reader.run() ? reader.code.tokens : nil
    }

    private struct Reader {
        var code: CodeReader
        private var brackets: [UInt8] = []

        init(_ code: CodeReader) { self.code = code }

        mutating func run() -> Bool {
            while !code.isAtEnd {
                guard code.tokens.count < CodeReader.tokensMax, readToken() else { return false }
            }
            return brackets.isEmpty
        }

        private mutating func readToken() -> Bool {
            let byte = code.byte
            switch byte {
            case 0x0A, 0x0D:
                code.startsLine = true
                code.hasSpace = true
                code.step()
            case 0x20, 0x09:
                code.hasSpace = true
                code.place += 1
            case UInt8(ascii: "/") where code.peek(1) == byte:
                while !code.isAtEnd, code.byte != 0x0A { code.place += 1 }
            case UInt8(ascii: "/") where code.peek(1) == UInt8(ascii: "*"): return skipComment()
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
            case UInt8(ascii: "\""): return readString(marks: 0)
            case UInt8(ascii: "#"): return readMark()
            default: return readWord(byte)
            }
            return true
        }

        /// `#"raw"#`, or `#if`, `#expect`.
        private mutating func readMark() -> Bool {
            var marks = 0
            while code.peek(marks) == UInt8(ascii: "#") { marks += 1 }
            if code.peek(marks) == UInt8(ascii: "\"") {
                code.place += marks
                return readString(marks: marks)
            }
            code.place += 1
            guard CodeReader.isNameStart(code.byte) else {
                code.add(.symbol, "#")
                return true
            }
            return readPrefixed("#")
        }

        private mutating func readPrefixed(_ mark: String) -> Bool {
            let (startsLine, hasSpace) = (code.startsLine, code.hasSpace)
            code.readName()
            let last = code.tokens.count - 1
            code.tokens[last].text = mark + code.tokens[last].text
            code.tokens[last].startsLine = startsLine
            code.tokens[last].hasSpaceBefore = hasSpace
            return true
        }

        private mutating func readWord(_ byte: UInt8) -> Bool {
            if CodeReader.isNameStart(byte) {
                code.readName()
            } else if CodeReader.isDigit(byte) {
                code.readNumber()
            } else if byte == UInt8(ascii: "@") || byte == UInt8(ascii: "$") {
                code.place += 1
                let mark = String(UnicodeScalar(byte))
                guard CodeReader.isNamePart(code.byte) else {
                    code.add(.symbol, mark)
                    return true
                }
                return readPrefixed(mark)
            } else if byte == UInt8(ascii: "`") {
                // A name in quotes is the name.
                code.place += 1
            } else {
                readSymbol(byte)
            }
            return true
        }

        private static let runs = Set("/=-+*%&|^~".utf8)

        private mutating func readSymbol(_ byte: UInt8) {
            let start = code.place
            code.place += 1
            if Reader.runs.contains(byte) {
                while Reader.runs.contains(code.byte) { code.place += 1 }
                // `->`, `==>`: a sign that ends an operator, not a generic argument.
                if code.byte == UInt8(ascii: ">"), code.bytes[code.place - 1] == UInt8(ascii: "-") {
                    code.place += 1
                }
            } else if byte == UInt8(ascii: "<") || byte == UInt8(ascii: ">")
                || byte == UInt8(ascii: "!"),
                code.byte == UInt8(ascii: "=")
            {
                code.place += 1
            }
            code.add(.symbol, code.text(start..<code.place))
        }

        /// Comments may lie in comments.
        private mutating func skipComment() -> Bool {
            var depth = 0
            while !code.isAtEnd {
                if code.begins("/*") {
                    depth += 1
                    code.place += 2
                } else if code.begins("*/") {
                    depth -= 1
                    code.place += 2
                    if depth == 0 {
                        code.hasSpace = true
                        return true
                    }
                } else {
                    code.step()
                }
            }
            return false
        }

        private mutating func readString(marks: Int) -> Bool {
            let line = code.line
            let isBlock = code.begins("\"\"\"")
            let start = code.place + (isBlock ? 3 : 1)
            guard skipString(marks: marks, depth: 0) else { return false }
            let end = code.place - marks - (isBlock ? 3 : 1)
            var content = code.text(start..<max(start, end))
            if isBlock { content = Reader.unindented(content) }
            let mark = String(repeating: "#", count: marks) + (isBlock ? "|" : "\"")
            code.add(.string, mark + content + mark)
            code.tokens[code.tokens.count - 1].line = line
            return true
        }

        /// A block string's lines without the indentation of its end.
        private static func unindented(_ content: String) -> String {
            var lines = content.split(separator: "\n", omittingEmptySubsequences: false)
            guard lines.count > 1, let last = lines.popLast() else { return content }
            return lines.dropFirst().map {
                $0.hasPrefix(last) ? String($0.dropFirst(last.count)) : String($0)
            }
            .joined(separator: "\n")
        }

        /// Passes over a string from its quote to behind its last mark.
        private mutating func skipString(marks: Int, depth: Int) -> Bool {
            guard depth < CodeReader.nestingMax else { return false }
            let isBlock = code.begins("\"\"\"")
            code.place += isBlock ? 3 : 1
            while !code.isAtEnd {
                if code.byte == UInt8(ascii: "\\"), hasMarks(marks, from: 1) {
                    code.place += 1 + marks
                    if code.byte == UInt8(ascii: "(") {
                        guard skipExpression(depth: depth + 1) else { return false }
                    } else {
                        code.step()
                    }
                } else if code.byte == UInt8(ascii: "\""), !isBlock || code.begins("\"\"\""),
                    hasMarks(marks, from: isBlock ? 3 : 1)
                {
                    code.place += (isBlock ? 3 : 1) + marks
                    return true
                } else if code.byte == 0x0A, !isBlock {
                    return false
                } else {
                    code.step()
                }
            }
            return false
        }

        private func hasMarks(_ count: Int, from start: Int) -> Bool {
            for offset in 0..<count where code.peek(start + offset) != UInt8(ascii: "#") {
                return false
            }
            return true
        }

        /// Passes over `( … )` in a string.
        private mutating func skipExpression(depth: Int) -> Bool {
            var open = 0
            while !code.isAtEnd {
                switch code.byte {
                case UInt8(ascii: "("):
                    open += 1
                    code.place += 1
                case UInt8(ascii: ")"):
                    open -= 1
                    code.place += 1
                    if open == 0 { return true }
                case UInt8(ascii: "\""):
                    guard skipString(marks: 0, depth: depth) else { return false }
                default: code.step()
                }
            }
            return false
        }
    }
}

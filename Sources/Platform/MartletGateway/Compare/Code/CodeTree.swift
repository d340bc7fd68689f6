// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Languages whose code is compared as trees.
package enum CodeLanguage: String, Sendable, CaseIterable {
    case json, python, swift

    /// As a fenced block names it.
    package init?(name: String) {
        switch name.lowercased() {
        case "json", "jsonc": self = .json
        case "python", "py", "python3": self = .python
        case "swift": self = .swift
        default: return nil
        }
    }
}

/// A tree of blocks, statements, brackets and tokens: what of a program means something, without
/// its comments and its layout.
///
/// It is no full grammar: precedence is not resolved, so that redundant parentheses count as a
/// difference. Two programs with equal trees have the same tokens in the same statements.
struct CodeTree: Hashable {
    enum Kind: Hashable { case block, statement, group, name, number, string, symbol }

    static let depthMax = 100

    var kind: Kind
    /// A token's text, a group's opening bracket.
    var text = ""
    var children: [CodeTree] = []
    var line: Int

    /// Where it stands says nothing.
    static func == (one: CodeTree, other: CodeTree) -> Bool {
        one.kind == other.kind && one.text == other.text && one.children == other.children
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(text)
        hasher.combine(children)
    }

    /// Nil when it cannot be taken apart, or for JSON, which is compared as a document.
    init?(_ source: String, _ language: CodeLanguage) {
        let bytes = Array(source.utf8)
        let tokens: [CodeToken]?
        switch language {
        case .json: return nil
        case .python: tokens = PythonTokens.read(bytes)
        case .swift: tokens = SwiftTokens.read(bytes)
        }
        guard let tokens else { return nil }
        var builder = CodeTreeBuilder(tokens, isPython: language == .python)
        guard let tree = builder.build() else { return nil }
        self = tree
    }

    init(kind: Kind, text: String = "", children: [CodeTree] = [], line: Int) {
        self.kind = kind
        self.text = text
        self.children = children
        self.line = line
    }

    /// The code on one line, for messages.
    var summary: String {
        var text = ""
        write(to: &text)
        return text.count > 80 ? String(text.prefix(79)) + "…" : text
    }

    private func write(to text: inout String) {
        guard text.utf8.count < 400 else { return }
        switch kind {
        case .block, .statement:
            for (index, child) in children.enumerated() {
                if kind == .block { text += index == 0 ? "" : "; " }
                child.write(to: &text)
            }
        case .group:
            text += self.text
            for child in children { child.write(to: &text) }
            text += self.text == "(" ? ")" : self.text == "[" ? "]" : "}"
        case .name, .number, .string, .symbol:
            if let last = text.utf8.last, CodeReader.isNamePart(last),
                let first = self.text.utf8.first, CodeReader.isNamePart(first)
            {
                text += " "
            }
            text += self.text
        }
    }
}

/// Puts tokens together.
struct CodeTreeBuilder {
    private static let compound: Set<String> = [
        "if", "elif", "else", "for", "while", "def", "class", "with", "try", "except", "finally",
        "async", "match", "case",
    ]
    /// A line that begins so goes on with the statement before it.
    private static let continuing: Set<String> = [
        "else", "catch", "where", "throws", "rethrows", "async", "as", "is", "in",
    ]
    private static let levels: Set<String> = [
        "private", "fileprivate", "internal", "package", "public", "unowned", "nonisolated",
    ]
    /// A line that ends so goes on.
    private static let unfinished: Set<String> = [
        "in", "try", "await", "unsafe", "guard", "let", "var", "if", "while", "for", "case",
        "throw", "return", "is", "as", "where", "else", "func", "struct", "class", "enum",
        "protocol", "extension", "import", "some", "any", "inout", "switch", "static", "private",
        "public", "internal", "package", "fileprivate", "mutating", "nonisolated", "final",
        "override", "consuming", "borrowing", "indirect", "lazy", "weak",
    ]

    private let tokens: [CodeToken]
    private let isPython: Bool
    private var place = 0

    init(_ tokens: [CodeToken], isPython: Bool) {
        self.tokens = tokens
        self.isPython = isPython
    }

    private var token: CodeToken? { place < tokens.count ? tokens[place] : nil }

    mutating func build() -> CodeTree? {
        guard let tree = block(depth: 0), place == tokens.count else { return nil }
        return tree
    }

    private mutating func block(depth: Int) -> CodeTree? {
        guard depth < CodeTree.depthMax else { return nil }
        var found = CodeTree(kind: .block, line: token?.line ?? 1)
        while let token, token.kind != .close, token.kind != .dedent {
            if token.kind == .newline || isSemicolon(token) {
                place += 1
                continue
            }
            guard token.kind != .indent, let statement = statement(depth: depth + 1) else {
                return nil
            }
            found.children.append(statement)
        }
        return found
    }

    private func isSemicolon(_ token: CodeToken) -> Bool {
        token.kind == .symbol && token.text == ";"
    }

    private mutating func statement(depth: Int, endsAtLine: Bool = false) -> CodeTree? {
        var found = CodeTree(kind: .statement, line: token?.line ?? 1)
        let isCompound =
            isPython && !endsAtLine && CodeTreeBuilder.compound.contains(token?.text ?? "")
        var lambdas = 0
        while let token {
            switch token.kind {
            case .newline:
                if endsAtLine { return found }
                place += 1
                return suite(&found, depth) ? found : nil
            case .close, .dedent: return found
            case .indent: return nil
            case .open:
                if !isPython, isOver(found, token) { return found }
                guard let group = group(depth: depth + 1) else { return nil }
                found.children.append(group)
            case .name, .number, .string, .symbol:
                if isSemicolon(token) || (!isPython && isOver(found, token)) { return found }
                append(token, to: &found)
                if isCompound, token.text == "lambda" { lambdas += 1 }
                guard isCompound, token.kind == .symbol, token.text == ":" else { continue }
                if lambdas > 0 {
                    lambdas -= 1
                } else if self.token?.kind != .newline {
                    guard let inline = inlineBlock(depth: depth + 1) else { return nil }
                    found.children.append(inline)
                }
            }
        }
        return found
    }

    private mutating func append(_ token: CodeToken, to found: inout CodeTree) {
        let kind: CodeTree.Kind =
            switch token.kind {
            case .name: .name
            case .number: .number
            case .string: .string
            default: .symbol
            }
        found.children.append(CodeTree(kind: kind, text: token.text, line: token.line))
        place += 1
    }

    /// The indented lines under a statement.
    private mutating func suite(_ found: inout CodeTree, _ depth: Int) -> Bool {
        guard token?.kind == .indent else { return true }
        place += 1
        guard let block = block(depth: depth + 1), token?.kind == .dedent else { return false }
        place += 1
        found.children.append(block)
        return true
    }

    /// `if x: a; b`.
    private mutating func inlineBlock(depth: Int) -> CodeTree? {
        guard depth < CodeTree.depthMax else { return nil }
        var found = CodeTree(kind: .block, line: token?.line ?? 1)
        while let token, token.kind != .newline, token.kind != .close, token.kind != .dedent {
            if isSemicolon(token) {
                place += 1
                continue
            }
            guard let one = statement(depth: depth + 1, endsAtLine: true) else { return nil }
            found.children.append(one)
        }
        return found
    }

    private mutating func group(depth: Int) -> CodeTree? {
        guard depth < CodeTree.depthMax, let open = token else { return nil }
        let isCall =
            place > 0 && (tokens[place - 1].kind == .name || tokens[place - 1].kind == .close)
        place += 1
        var found = CodeTree(kind: .group, text: open.text, line: open.line)
        if !isPython, open.text == "{" {
            guard let block = block(depth: depth + 1) else { return nil }
            found.children = block.children
        } else {
            while let token, token.kind != .close {
                switch token.kind {
                case .open:
                    guard let group = group(depth: depth + 1) else { return nil }
                    found.children.append(group)
                case .newline, .indent, .dedent: return nil
                default: append(token, to: &found)
                }
            }
            dropLastComma(&found, isCall: isCall)
        }
        guard token?.kind == .close else { return nil }
        place += 1
        return found
    }

    /// A comma before the closing bracket says nothing, but for Python's tuples of one.
    private func dropLastComma(_ found: inout CodeTree, isCall: Bool) {
        guard found.children.last?.text == ",", found.children.last?.kind == .symbol else { return }
        let commas = found.children.count { $0.kind == .symbol && $0.text == "," }
        if isPython, found.text == "(", !isCall, commas == 1 { return }
        found.children.removeLast()
    }

    /// Whether a Swift statement ends before a token that begins a line.
    private func isOver(_ found: CodeTree, _ next: CodeToken) -> Bool {
        guard next.startsLine, let last = found.children.last, place > 0 else { return false }
        if next.kind == .symbol, [".", "?", "<", ">"].contains(next.text) {
            return false
        }
        if next.kind == .open, next.text == "{" { return false }
        if next.kind == .name, CodeTreeBuilder.continuing.contains(next.text) { return false }
        // An operator with room on both sides stands between two operands.
        if next.kind == .symbol, place + 1 < tokens.count, tokens[place + 1].hasSpaceBefore {
            return false
        }
        let before = tokens[place - 1]
        if last.kind == .name {
            let isMember = place > 1 && tokens[place - 2].text == "."
            return isMember
                || !(CodeTreeBuilder.unfinished.contains(last.text) || last.text.hasPrefix("@"))
        }
        if last.kind == .group {
            // An attribute with arguments, or `private(set)`: what it belongs to follows.
            guard last.text == "(", let named = found.children.dropLast().last else { return true }
            return !(named.text.hasPrefix("@") || CodeTreeBuilder.levels.contains(named.text))
        }
        guard last.kind == .symbol else { return true }
        if [",", "->", ":", "<"].contains(last.text) { return false }
        return !(before.hasSpaceBefore && last.text != "!" && last.text != "?")
    }
}

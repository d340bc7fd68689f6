// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A text with fenced blocks of code, taken apart (CommonMark, section 4.5).
package struct CodeAnswer: Sendable {
    package struct Block: Sendable, Hashable {
        /// The first word behind the fence; empty when there is none.
        package var language: String
        package var code: String
    }

    /// The text without its blocks.
    package private(set) var prose: [String] = []
    package private(set) var blocks: [Block] = []

    package init(_ text: String) {
        var lines: [Substring] = []
        var fence: (sign: Character, count: Int, language: String)?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let bare = line.drop { $0 == " " || $0 == "\t" }
            if let open = fence {
                let run = bare.prefix { $0 == open.sign }.count
                if run >= open.count, bare.dropFirst(run).allSatisfy(\.isWhitespace) {
                    add(open.language, lines)
                    lines = []
                    fence = nil
                } else {
                    lines.append(line)
                }
            } else if let sign = bare.first, sign == "`" || sign == "~",
                bare.prefix(while: { $0 == sign }).count >= 3
            {
                prose.append(lines.joined(separator: "\n"))
                lines = []
                let run = bare.prefix { $0 == sign }.count
                let info = bare.dropFirst(run).drop { $0 == " " }
                fence = (sign, run, String(info.prefix { !$0.isWhitespace && $0 != "{" }))
            } else {
                lines.append(line)
            }
        }
        if let open = fence {
            add(open.language, lines)
        } else {
            prose.append(lines.joined(separator: "\n"))
        }
    }

    private mutating func add(_ language: String, _ lines: [Substring]) {
        blocks.append(Block(language: language.lowercased(), code: lines.joined(separator: "\n")))
    }

    /// The blocks that say their language, in order; others are left out.
    package static func compare(_ before: CodeAnswer, _ after: CodeAnswer) -> [CodeComparison] {
        zip(before.blocks, after.blocks).compactMap { one, other in
            guard one.language == other.language, CodeLanguage(name: one.language) != nil else {
                return nil
            }
            return CodeComparison(one.code, other.code, language: one.language)
        }
    }

    /// Whether two texts differ in nothing but the layout and the comments of their code.
    package static func areSame(_ before: String, _ after: String) -> Bool {
        guard before.contains("```") || before.contains("~~~") else { return false }
        let one = CodeAnswer(before)
        let other = CodeAnswer(after)
        guard one.prose == other.prose, one.blocks.count == other.blocks.count else { return false }
        for (left, right) in zip(one.blocks, other.blocks) where left != right {
            guard left.language == right.language, CodeLanguage(name: left.language) != nil,
                CodeComparison(left.code, right.code, language: left.language).isSame
            else { return false }
        }
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A tracked text file as the tidy checks see it.
struct SourceFile {
    let path: String
    let lines: [Substring]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isC: Bool { path.hasSuffix(".c") || path.hasSuffix(".h") }
    var isSource: Bool { path.hasPrefix("Sources/") }
    var isGenerated: Bool { path.contains("/Generated/") }

    /// The target's folder name for files under Sources/<Layer>/<Target>/ or Tests/<Layer>/….
    var target: String? {
        let parts = path.split(separator: "/")
        guard parts.count > 3, parts[0] == "Sources" else { return nil }
        return String(parts[2])
    }

    /// The line without what stands in a `//` comment or a simple string literal.
    static func code(_ line: Substring) -> String {
        var code = ""
        var isInString = false
        var previous: Character = " "
        for character in line {
            if character == "\"", previous != "\\" { isInString.toggle() }
            if !isInString, character == "/", previous == "/" { return String(code.dropLast()) }
            if !isInString { code.append(character) }
            previous = character
        }
        return code
    }
}

/// Something that breaks the style guide, and where.
struct Violation: Hashable, CustomStringConvertible {
    let path: String
    let line: Int
    let message: String

    var description: String { "\(path):\(line): \(message)" }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletStorage

/// A paragraph of a text file.
struct Passage {
    let source: String
    let text: String

    /// At most 90 characters on one line.
    var shortened: String {
        let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return line.count <= 90 ? line : line.prefix(89) + "…"
    }
}

/// Cuts text files into paragraphs worth finding.
enum PassageReader {
    private static let fileBytesMax = 4 << 20
    private static let passagesMax = 2_000
    private static let depthMax = 6

    /// The paragraphs of these files and of the Markdown files in these folders.
    static func read(_ paths: [String]) throws -> [Passage] {
        var passages: [Passage] = []
        for path in paths { try read(path, depth: 0, into: &passages) }
        return passages
    }

    private static func read(_ path: String, depth: Int, into passages: inout [Passage]) throws {
        if FileSystem.isDirectory(path) {
            guard depth < depthMax else { return }
            for name in try FileSystem.list(path) {
                let inner = PathName.join(path, name)
                guard name.hasSuffix(".md") || FileSystem.isDirectory(inner) else { continue }
                try read(inner, depth: depth + 1, into: &passages)
            }
            return
        }
        let text = try FileSystem.readText(path, limit: fileBytesMax)
        for paragraph in paragraphs(text) where passages.count < passagesMax {
            passages.append(Passage(source: path, text: paragraph))
        }
    }

    /// Blocks between blank lines and single list items, without code, tables and headings.
    private static func paragraphs(_ text: String) -> [String] {
        var found: [String] = []
        var current: [Substring] = []
        var isCode = false
        func close() {
            let joined = PassageReader.plain(current.joined(separator: " "))
            if joined.count >= 40 { found.append(joined) }
            current = []
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let trimmed = line.drop { $0 == " " }
            if trimmed.hasPrefix("```") {
                isCode.toggle()
                close()
            } else if isCode || trimmed.isEmpty || trimmed.hasPrefix("#") || trimmed.hasPrefix("|")
            {
                close()
            } else if trimmed.hasPrefix("- ") {
                close()
                current.append(trimmed.dropFirst(2))
            } else {
                current.append(trimmed)
            }
        }
        close()
        return found
    }

    /// Without Markdown's bold marks and the targets of links.
    private static func plain(_ text: String) -> String {
        var plain = ""
        var rest = text[...]
        while let mark = rest.firstIndex(where: { "*[]".contains($0) }) {
            plain += rest[..<mark]
            let isLinkEnd = rest[mark] == "]" && rest[mark...].hasPrefix("](")
            rest = rest[rest.index(after: mark)...]
            if isLinkEnd, let end = rest.firstIndex(of: ")") {
                rest = rest[rest.index(after: end)...]
            }
        }
        return plain + rest
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The style guide's rules that a machine can check (Documentation/Style.md). Each takes one file
/// and names what is wrong in it.
enum Check: CaseIterable {
    case header, lineLength, fileLength, functionLength, importAccess, layerOfCImports
    case bannedCalls, uncheckedSendable, roomNames

    func violations(in file: SourceFile) -> [Violation] {
        switch self {
        case .header: header(file)
        case .lineLength: lineLength(file)
        case .fileLength: fileLength(file)
        case .functionLength: functionLength(file)
        case .importAccess: importAccess(file)
        case .layerOfCImports: layerOfCImports(file)
        case .bannedCalls: bannedCalls(file)
        case .uncheckedSendable: uncheckedSendable(file)
        case .roomNames: roomNames(file)
        }
    }

    private func header(_ file: SourceFile) -> [Violation] {
        guard file.isSwift || file.isC, !file.path.hasPrefix("Examples/") else { return [] }
        let first = file.lines.prefix(2)
        guard first.contains(where: { $0.hasPrefix("// SPDX-License-Identifier: Apache-2.0") })
        else {
            return [Violation(path: file.path, line: 1, message: "the SPDX header is missing")]
        }
        return []
    }

    private func lineLength(_ file: SourceFile) -> [Violation] {
        guard file.isSwift || file.isC, !file.isGenerated else { return [] }
        // Swift code is measured by the formatter; string literals cannot be broken.
        return file.lines.enumerated().compactMap { index, line in
            line.count <= 100 || line.contains("https://")
                || (file.isSwift && !line.drop { $0 == " " }.hasPrefix("//"))
                ? nil
                : Violation(
                    path: file.path, line: index + 1, message: "\(line.count) columns, at most 100")
        }
    }

    private func fileLength(_ file: SourceFile) -> [Violation] {
        guard file.isSwift || file.isC, !file.isGenerated, !isTable(file) else { return [] }
        let linesMax = file.path.hasPrefix("Tests/") ? 800 : 600
        guard file.lines.count > linesMax + 1 else { return [] }
        return [
            Violation(
                path: file.path, line: linesMax,
                message: "\(file.lines.count) lines, at most \(linesMax)")
        ]
    }

    /// Tables of data say so on their third or fourth line.
    private func isTable(_ file: SourceFile) -> Bool {
        file.lines.prefix(5).contains { $0.hasPrefix("// Table:") }
    }

    private func functionLength(_ file: SourceFile) -> [Violation] {
        guard file.isSwift, file.isSource, !file.isGenerated else { return [] }
        var violations: [Violation] = []
        var open: (line: Int, indent: Int)?
        for (index, line) in file.lines.enumerated() {
            let indent = line.prefix { $0 == " " }.count
            if let start = open {
                guard indent == start.indent, line.dropFirst(indent).hasPrefix("}") else {
                    continue
                }
                let length = index - start.line + 1
                if length > 70 {
                    violations.append(
                        Violation(
                            path: file.path, line: start.line + 1,
                            message: "a function of \(length) lines, at most 70"))
                }
                open = nil
            } else if Check.opensFunction(line) {
                open = (index, indent)
            }
        }
        return violations
    }

    private static func opensFunction(_ line: Substring) -> Bool {
        let words = line.split(separator: " ")
        guard let keyword = words.firstIndex(where: { $0 == "func" || $0.hasPrefix("init(") })
        else { return false }
        let modifiers: Set<Substring> = [
            "public", "package", "internal", "private", "fileprivate", "static", "mutating",
            "final", "override", "convenience", "required", "borrowing", "consuming",
            "nonisolated", "@inlinable", "@inline(__always)", "@discardableResult", "class",
        ]
        return words[..<keyword].allSatisfy { modifiers.contains($0) } && !line.hasSuffix("}")
    }

    private func importAccess(_ file: SourceFile) -> [Violation] {
        let isOwnPackage = file.path.hasPrefix("Examples/") || file.path.hasPrefix("Benchmarks/")
        guard file.isSwift, !isOwnPackage, file.path != "Package.swift" else { return [] }
        return file.lines.enumerated().compactMap { index, line in
            guard line.hasPrefix("import ") || line.hasPrefix("@preconcurrency import ") else {
                return nil
            }
            return Violation(
                path: file.path, line: index + 1,
                message: "an import states its access level (internal, package or public)")
        }
    }

    private func layerOfCImports(_ file: SourceFile) -> [Violation] {
        guard file.isSwift, file.isSource, let target = file.target else { return [] }
        let allowed: [String: Set<String>] = [
            "CMartletKernels": ["MartletBase", "MartletTensor", "MartletEngine"],
            "CMartletPlatform": ["MartletBase", "MartletStorage", "MartletTensor", "martlet"],
            "CMartletImages": ["MartletImages"],
            "CMartletNumbers": ["MartletJSON"],
            "CMartletZlib": ["MartletWire"],
            "CMartletCrypto": ["MartletBase"],
            "CMartletSignatures": ["MartletSignatures"],
            "CMartletYAML": ["MartletYAML"],
            "Foundation": [],
        ]
        return file.lines.enumerated().compactMap { index, line in
            guard let range = line.range(of: "import "), line[..<range.lowerBound].count < 24,
                !line.hasPrefix("//")
            else { return nil }
            let module = line[range.upperBound...].prefix { $0.isLetter || $0.isNumber }
            guard let targets = allowed[String(module)], !targets.contains(target) else {
                return nil
            }
            return Violation(
                path: file.path, line: index + 1, message: "\(target) may not import \(module)")
        }
    }

    private func bannedCalls(_ file: SourceFile) -> [Violation] {
        guard file.isSwift, file.isSource, !file.isGenerated else { return [] }
        let isCommand = file.target == "martlet"
        let banned: [(call: String, instead: String, allowed: Bool)] = [
            ("fatalError(", "throw an error, or precondition for our own mistakes", false),
            ("try!", "try, with the error handled", false),
            ("as!", "as? with the other case handled", false),
            ("print(", "a logger", isCommand),
            ("Date()", "a TimeSource", false),
            ("Thread.sleep", "a condition or a timer of the shell", false),
            ("unsafeBitCast(", "a typed pointer or a bit pattern initialiser", false),
        ]
        return file.lines.enumerated().flatMap { index, line -> [Violation] in
            let code = SourceFile.code(line)
            return banned.compactMap { call, instead, allowed in
                guard !allowed, Check.calls(call, in: code) else { return nil }
                return Violation(
                    path: file.path, line: index + 1, message: "\(call) is banned: use \(instead)")
            }
        }
    }

    /// Whether `call` stands in `code` as a word of its own.
    private static func calls(_ call: String, in code: String) -> Bool {
        var rest = code[...]
        while let range = rest.range(of: call) {
            let before = rest[..<range.lowerBound].last ?? " "
            if !before.isLetter, !before.isNumber, before != "_", before != "." { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }

    private func uncheckedSendable(_ file: SourceFile) -> [Violation] {
        guard file.isSwift, file.isSource else { return [] }
        return file.lines.enumerated().compactMap { index, line in
            guard SourceFile.code(line).contains("@unchecked Sendable") else { return nil }
            let above = file.lines[max(0, index - 6)..<index]
            let hasReason = above.contains { $0.contains("// Sendable:") }
            return hasReason
                ? nil
                : Violation(
                    path: file.path, line: index + 1,
                    message: "@unchecked Sendable needs a '// Sendable:' reason above it")
        }
    }

    private func roomNames(_ file: SourceFile) -> [Violation] {
        let banned: Set<Substring> = ["Common", "Utils", "Helpers", "Core", "Misc"]
        return file.path.split(separator: "/").filter(banned.contains).map { room in
            Violation(path: file.path, line: 1, message: "no room is called \(room)")
        }
    }
}

extension StringProtocol {
    /// The first place where `needle` stands; the standard library has this only in Foundation.
    fileprivate func range(of needle: String) -> Range<Index>? {
        firstRange(of: needle)
    }
}

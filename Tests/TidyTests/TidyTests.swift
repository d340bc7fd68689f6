// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Testing

/// The style guide as a test, over every tracked file.
@Suite("Tidy")
struct TidyTests {
    @Test("every tracked file keeps the style guide", arguments: Check.allCases)
    func files(check: Check) throws {
        let violations = try Tree.files().flatMap { check.violations(in: $0) }
        #expect(
            violations.isEmpty, "\(violations.map(\.description).joined(separator: "\n"))")
    }

    @Test("the tree holds no large or built files")
    func blobs() throws {
        #expect(TreeCheck.blobs(try Tree.sizes()) == [])
    }

    @Test("the changelog has its form")
    func changelog() throws {
        let text = try #require(Tree.read("CHANGELOG.md"))
        #expect(TreeCheck.changelog(text) == [])
    }

    @Test("test folders mirror the sources")
    func mirrors() throws {
        var sources: Set<String> = []
        var tests: Set<String> = []
        for path in try Tree.paths() {
            let parts = path.split(separator: "/")
            guard parts.count > 3 else { continue }
            if parts[0] == "Sources" { sources.insert("\(parts[1])/\(parts[2])") }
            if parts[0] == "Tests", parts[2].hasSuffix("Tests") {
                tests.insert("\(parts[1])/\(parts[2].dropLast(5))")
            }
        }
        #expect(TreeCheck.mirrors(sources: sources, tests: tests) == [])
    }

    @Test("the documentation names every pass")
    func passes() throws {
        let text = try #require(Tree.read("Documentation/Passes.md"))
        let mark = "static let name = \""
        var count = 0
        for file in try Tree.files() where file.path.contains("MartletGraph/Passes/") {
            for line in file.lines where line.contains(mark) {
                let name = line.split(separator: "\"")[1]
                #expect(text.contains("`\(name)`"), "\(name) is not described")
                count += 1
            }
        }
        #expect(count > 20)
    }
}

/// The checkout that this test was built from.
enum Tree {
    struct NotListed: Error {}

    static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }

    /// Paths below the root that git tracks or would track, in git's order.
    static func paths() throws -> [String] {
        let command = "git -C '\(root)' ls-files --cached --others --exclude-standard 2>/dev/null"
        guard let pipe = unsafe popen(command, "r") else { throw NotListed() }
        defer { unsafe pclose(pipe) }
        var text: [UInt8] = []
        while true {
            let byte = unsafe getc(pipe)
            if byte == EOF { break }
            text.append(UInt8(truncatingIfNeeded: byte))
        }
        let paths = text.split(separator: UInt8(ascii: "\n")).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard paths.count > 20 else { throw NotListed() }
        return paths
    }

    static func files() throws -> [SourceFile] {
        try paths().filter { $0.hasSuffix(".swift") || $0.hasSuffix(".c") || $0.hasSuffix(".h") }
            .compactMap { path in read(path).map { SourceFile(path: path, text: $0) } }
    }

    static func sizes() throws -> [(path: String, byteCount: Int)] {
        try paths().compactMap { path in
            var status = stat()
            guard unsafe lstat("\(root)/\(path)", &status) == 0 else { return nil }
            return (path, Int(status.st_size))
        }
    }

    static func read(_ path: String) -> String? {
        guard let file = unsafe fopen("\(root)/\(path)", "r") else { return nil }
        defer { unsafe fclose(file) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe fread($0.baseAddress, 1, $0.count, file)
            }
            if count == 0 { break }
            text.append(contentsOf: buffer[..<count])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Testing

/// Every tidy check sees what it is there to see.
@Suite("Tidy checks")
struct CheckTests {
    private func count(_ check: Check, _ path: String, _ text: String) -> Int {
        check.violations(in: SourceFile(path: path, text: text)).count
    }

    private let path = "Sources/Base/MartletBase/A.swift"

    @Test("a missing header is seen")
    func header() {
        #expect(count(.header, path, "let a = 1\n") == 1)
        #expect(count(.header, path, "// SPDX-License-Identifier: Apache-2.0\n") == 0)
    }

    @Test("a long line is seen, one with an address is not")
    func lineLength() {
        let long = String(repeating: "x", count: 101)
        #expect(count(.lineLength, path, "// \(long)") == 1)
        #expect(count(.lineLength, "Sources/Base/CMartletKernels/a.c", long) == 1)
        #expect(count(.lineLength, path, "// https://\(long)") == 0)
    }

    @Test("a long file is seen, in tests later")
    func fileLength() {
        let text = String(repeating: "\n", count: 650)
        #expect(count(.fileLength, path, text) == 1)
        #expect(count(.fileLength, "Tests/Base/A.swift", text) == 0)
    }

    @Test("a long function is seen")
    func functionLength() {
        let body = String(repeating: "        a()\n", count: 70)
        #expect(count(.functionLength, path, "    package func f() {\n\(body)    }\n") == 1)
        #expect(count(.functionLength, path, "    func f() {\n        a()\n    }\n") == 0)
    }

    @Test("an import without a level is seen")
    func importAccess() {
        #expect(count(.importAccess, path, "import Glibc\n") == 1)
        #expect(count(.importAccess, path, "internal import Glibc\n") == 0)
    }

    @Test("a C module in the wrong target is seen, and Foundation anywhere")
    func layerOfCImports() {
        #expect(count(.layerOfCImports, path, "internal import CMartletZlib\n") == 1)
        #expect(count(.layerOfCImports, path, "internal import CMartletKernels\n") == 0)
        #expect(count(.layerOfCImports, path, "internal import Foundation\n") == 1)
    }

    @Test(
        "banned calls are seen",
        arguments: [
            "fatalError(\"x\")", "let a = try! b()", "let a = b as! C", "print(a)", "Date()",
            "unsafeBitCast(a, to: B.self)",
        ])
    func bannedCalls(line: String) {
        #expect(count(.bannedCalls, path, line) == 1)
        #expect(count(.bannedCalls, path, "// \(line)") == 0)
    }

    @Test("a word that only ends like a banned call is left alone")
    func bannedCallsWithin() {
        #expect(count(.bannedCalls, path, "fingerprint(a); self.print(b)") == 0)
        #expect(count(.bannedCalls, "Sources/Surface/martlet/A.swift", "print(a)") == 0)
    }

    @Test("an unchecked Sendable without a reason is seen")
    func uncheckedSendable() {
        let line = "final class A: @unchecked Sendable {}"
        #expect(count(.uncheckedSendable, path, line) == 1)
        #expect(count(.uncheckedSendable, path, "// Sendable: because.\n\(line)") == 0)
    }

    @Test("a room called Utils is seen")
    func roomNames() {
        #expect(count(.roomNames, "Sources/Base/MartletBase/Utils/A.swift", "") == 1)
    }

    @Test("large files, build output and lock files are seen")
    func blobs() {
        let files = [("a.bin", 2_000_000), (".build-x/a", 1), ("Package.resolved", 1), ("b", 1)]
        #expect(TreeCheck.blobs(files.map { (path: $0.0, byteCount: $0.1) }).count == 3)
    }

    @Test("a changelog without an Unreleased part is seen, and an unknown heading")
    func changelog() {
        #expect(TreeCheck.changelog("# Changelog\n## 1.0\n").count == 1)
        #expect(TreeCheck.changelog("## Unreleased\n### Stuff\n").count == 1)
        #expect(TreeCheck.changelog("## Unreleased\n### Added\n").isEmpty)
    }

    @Test("a test folder without a target is seen")
    func mirrors() {
        #expect(TreeCheck.mirrors(sources: ["Base/A"], tests: ["Base/A", "Base/B"]).count == 1)
    }
}

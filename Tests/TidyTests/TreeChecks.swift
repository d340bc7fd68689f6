// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Checks that look at the whole tree instead of one file.
enum TreeCheck {
    /// No file over 1 MB, no build output, no lock file of the package manager.
    static func blobs(_ files: [(path: String, byteCount: Int)]) -> [Violation] {
        files.compactMap { path, byteCount in
            if byteCount > 1_048_576 {
                return Violation(path: path, line: 1, message: "\(byteCount) bytes, at most 1 MB")
            }
            let parts = path.split(separator: "/")
            if parts.contains(where: { $0.hasPrefix(".build") || $0 == "Package.resolved" }) {
                return Violation(path: path, line: 1, message: "build output is not committed")
            }
            return nil
        }
    }

    /// The changelog has an Unreleased part first and only known headings.
    static func changelog(_ text: String) -> [Violation] {
        let headings = text.split(separator: "\n").filter { $0.hasPrefix("## ") }
        guard headings.first == "## Unreleased" else {
            return [
                Violation(
                    path: "CHANGELOG.md", line: 1,
                    message: "the first section must be '## Unreleased'")
            ]
        }
        let kinds: Set<Substring> = [
            "### Added", "### Changed", "### Fixed", "### Removed", "### Security",
        ]
        return text.split(separator: "\n").filter { $0.hasPrefix("### ") && !kinds.contains($0) }
            .map { Violation(path: "CHANGELOG.md", line: 1, message: "unknown heading '\($0)'") }
    }

    /// Every Swift test suite folder mirrors a source target of the same layer.
    static func mirrors(sources: Set<String>, tests: Set<String>) -> [Violation] {
        tests.subtracting(sources).sorted().map {
            Violation(path: "Tests/\($0)Tests", line: 1, message: "no such target in Sources")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletStorage
internal import Testing

@Suite("Mapped files and the file system")
struct MappedFileTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    @Test("a file's bytes are mapped and outlive its name")
    func map() throws {
        folder.write("a", Array(0..<100))
        let region = try MappedFile(path: folder.full("a")).region
        folder.remove("a")
        #expect(region.count == 100)
        #expect(region.copied() == Array(0..<100))
    }

    @Test("large pages change nothing but speed", arguments: [1, 4096, 3 << 20])
    func largePages(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        folder.write("a", bytes)
        let file = try MappedFile(path: folder.full("a"), largePages: true)
        #expect(file.region.copied() == bytes)
        let stamp = try FileStamp(path: folder.full("a"))
        #expect(file.stamp == stamp)
        #expect(throws: StorageError.self) {
            try MappedFile(path: folder.full("missing"), largePages: true)
        }
    }

    @Test("a replacement is whole, whatever the sizes of its pieces, and seen only when committed")
    func replacement() throws {
        let path = folder.full("new")
        var expected: [UInt8] = []
        var file = try FileReplacement(path: path)
        for count in [5, 3 << 20, 0, 1, 2 << 20, 100] {
            let piece = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ count) }
            try unsafe piece.withUnsafeBytes { try unsafe file.append($0) }
            expected += piece
        }
        try file.pad(to: 4096)
        expected += [UInt8](repeating: 0, count: (4096 - expected.count % 4096) % 4096)
        #expect(file.byteCount == expected.count)
        let patch: [UInt8] = [1, 2, 3]
        for place in [0, expected.count - 3] {
            try unsafe patch.withUnsafeBytes { try unsafe file.overwrite($0, at: place) }
            expected.replaceSubrange(place..<place + 3, with: patch)
        }
        #expect(!FileSystem.exists(path))
        try file.commit(durably: false)
        #expect(try FileSystem.readAll(path, limit: 1 << 24) == expected)
    }

    @Test("advice is taken for any range")
    func advise() throws {
        folder.write("a", [UInt8](repeating: 7, count: 10_000))
        let file = try MappedFile(path: folder.full("a"))
        file.advise(.willNeed)
        file.advise(.random, in: 5000..<6000)
        file.advise(.dontNeed, in: -5..<1_000_000)
        #expect(file.region[9999] == 7)
    }

    @Test("what cannot be mapped says why and which")
    func refusals() {
        folder.write("empty", [])
        folder.makeFolder("folder")
        let cases: [(String, StorageError.Code)] = [
            (folder.full("missing"), .notFound), (folder.full("empty"), .emptyFile),
            (folder.path, .notARegularFile), ("/dev/null", .notARegularFile),
            (folder.full("empty/inside"), .notADirectory),
        ]
        for (path, code) in cases {
            let error = #expect(throws: StorageError.self) { try MappedFile(path: path) }
            #expect(error?.code == code, "\(path)")
            #expect(error?.message.contains(path) == true, "\(path)")
        }
    }

    @Test("whole files are read within a limit, text only when it is UTF-8")
    func read() throws {
        folder.write("text", Array("größe".utf8))
        folder.write("noise", [0xFF, 0xFE])
        folder.write("empty", [])
        #expect(try FileSystem.readText(folder.full("text"), limit: 7) == "größe")
        #expect(try FileSystem.readAll(folder.full("empty"), limit: 0) == [])
        let large = #expect(throws: StorageError.self) {
            try FileSystem.readAll(folder.full("text"), limit: 6)
        }
        #expect(large?.code == .tooLarge)
        let noise = #expect(throws: StorageError.self) {
            try FileSystem.readText(folder.full("noise"), limit: 6)
        }
        #expect(noise?.code == .notText)
        // Files of /proc announce no size.
        #expect(try !FileSystem.readText("/proc/self/status", limit: 1 << 20).isEmpty)
    }

    @Test("folders are listed in order, within a limit")
    func list() throws {
        for name in ["b", "a", ".c", "ä"] { folder.write(name) }
        #expect(try FileSystem.list(folder.path) == [".c", "a", "b", "ä"])
        #expect(throws: StorageError.self) { try FileSystem.list(folder.path, limit: 3) }
        #expect(throws: StorageError.self) { try FileSystem.list(folder.full("a")) }
        #expect(FileSystem.isDirectory(folder.path))
        #expect(FileSystem.isRegularFile(folder.full("a")))
        #expect(!FileSystem.exists(folder.full("missing")))
        #expect(try FileSystem.size(of: folder.full("a")) == 3)
    }

    @Test("path texts are joined and taken apart")
    func names() {
        #expect(PathName.join("a", "b") == "a/b")
        #expect(PathName.join("a/", "b") == "a/b")
        #expect(PathName.join("a", "/b") == "/b")
        #expect(PathName.join("", "b") == "b")
        #expect(PathName.baseName("/a/b/") == "b")
        #expect(PathName.baseName("b") == "b")
        #expect(PathName.baseName("/") == "/")
        #expect(PathName.directory("/a/b") == "/a")
        #expect(PathName.directory("/a") == "/")
        #expect(PathName.directory("a") == ".")
        for inside in ["a", "a/b", "a/..b", ".a"] { #expect(PathName.staysInside(inside)) }
        for outside in ["", "/a", "..", "a/../b", "a/..", "a\0b"] {
            #expect(!PathName.staysInside(outside))
        }
    }
}

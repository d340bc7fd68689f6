// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletServing
internal import MartletTensor
internal import Testing

@Suite("SharedMemoryRegistry")
struct SharedMemoryTests {
    private func registry(
        _ folder: ScratchFolder, regionCountMax: Int = 4
    ) -> SharedMemoryRegistry {
        SharedMemoryRegistry(
            isAllowed: true, regionCountMax: regionCountMax, directory: folder.path)
    }

    private func code(_ work: () throws -> Void) -> SharedMemoryError.Code? {
        do {
            try work()
            return nil
        } catch { return (error as? SharedMemoryError)?.code }
    }

    @Test("a region is registered, read, written and listed")
    func roundTrip() throws {
        let folder = try ScratchFolder()
        try folder.write("key", "0123456789abcdef")
        let registry = registry(folder)
        try registry.register(name: "r", key: "/key", offset: 4, byteSize: 12)
        #expect(try registry.status().map(\.key) == ["/key"])
        let tensor = try registry.tensor(
            region: "r", offset: 4, byteSize: 4, elementType: .uint8, shape: [4])
        #expect(unsafe Array(tensor.bytes) == Array("89ab".utf8))
        try registry.write(tensor, region: "r", offset: 0)
        #expect(
            try ScratchFolder.read(folder.path + "/key") == Array("012389ab89abcdef".utf8))
        try registry.unregister(name: "r")
        #expect(unsafe Array(tensor.bytes) == Array("89ab".utf8))
        #expect(code { _ = try registry.status(name: "r") } == .notFound)
    }

    @Test("a file cut short after registering is an error, not a crash")
    func truncated() throws {
        let folder = try ScratchFolder()
        try folder.write("key", String(repeating: "x", count: 8192))
        let registry = registry(folder)
        try registry.register(name: "r", key: "key", offset: 0, byteSize: 8192)
        let tensor = try registry.tensor(
            region: "r", offset: 0, byteSize: 8192, elementType: .uint8, shape: [8192])
        unsafe truncate(folder.path + "/key", 10)
        #expect(
            code {
                _ = try registry.tensor(
                    region: "r", offset: 0, byteSize: 8192, elementType: .uint8, shape: [8192])
            } == .invalidArgument)
        #expect(code { try registry.write(tensor, region: "r", offset: 0) } == .invalidArgument)
    }

    @Test("what cannot be right is refused")
    func refuses() throws {
        let folder = try ScratchFolder()
        try folder.write("key", "0123456789")
        let registry = registry(folder, regionCountMax: 1)
        for key in ["../key", "a/b", "", "..", "/", "missing"] {
            #expect(
                code { try registry.register(name: "r", key: key, offset: 0, byteSize: 1) }
                    == .invalidArgument, "\(key)")
        }
        for (offset, size) in [(0, 11), (5, 6), (-1, 2), (0, 0), (Int.max, 2), (2, Int.max)] {
            #expect(
                code {
                    try registry.register(name: "r", key: "key", offset: offset, byteSize: size)
                }
                    == .invalidArgument)
        }
        try registry.register(name: "r", key: "key", offset: 0, byteSize: 10)
        #expect(
            code { try registry.register(name: "r", key: "key", offset: 0, byteSize: 10) }
                == .alreadyExists)
        #expect(
            code { try registry.register(name: "s", key: "key", offset: 0, byteSize: 10) }
                == .limitExceeded)
        #expect(
            code {
                _ = try registry.tensor(
                    region: "r", offset: Int.max, byteSize: 8, elementType: .uint8, shape: [8])
            } == .invalidArgument)
        let off = SharedMemoryRegistry(directory: folder.path)
        #expect(
            code { try off.register(name: "r", key: "key", offset: 0, byteSize: 1) } == .notAllowed)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletONNXRuntime
internal import MartletStorage
internal import MartletTesting
internal import Testing

/// What a library's first entry looks like.
@safe private struct Base {
    var table: @convention(c) (UInt32) -> UnsafeRawPointer?
    var version: @convention(c) () -> UnsafePointer<CChar>?
}

private nonisolated func noTable(_: UInt32) -> UnsafeRawPointer? { nil }
private nonisolated func oldVersion() -> UnsafePointer<CChar>? { unsafe text("1.4.0") }
private nonisolated func nextVersion() -> UnsafePointer<CChar>? { unsafe text("2.0.1") }
private nonisolated func thisVersion() -> UnsafePointer<CChar>? { unsafe text("1.31.1") }
private nonisolated func noVersion() -> UnsafePointer<CChar>? { unsafe text("nightly") }

private func text(_ literal: StaticString) -> UnsafePointer<CChar> {
    unsafe UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
}

@Suite struct LibraryTests {
    private func message(_ base: Base) -> String? {
        var base = base
        let error = #expect(throws: EngineError.self) {
            _ = try unsafe withUnsafePointer(to: &base) { base in
                try unsafe ONNXRuntimeLibrary(base: UnsafeRawPointer(base), path: "/lib/x.so")
            }
        }
        #expect(error?.code == .unsupported)
        return error?.message
    }

    @Test("Versions that Martlet does not know are refused naming both")
    func mismatch() {
        let known = ONNXRuntimeLibrary.interfaces
        let old = unsafe message(Base(table: noTable, version: oldVersion)) ?? ""
        #expect(old.contains("1.4.0"))
        #expect(old.contains("1.\(known.lowerBound)") && old.contains("1.\(known.upperBound)"))
        let next = unsafe message(Base(table: noTable, version: nextVersion)) ?? ""
        #expect(next.contains("2.0.1") && next.contains("1.\(known.lowerBound)"))
        // The right version, but no table for it.
        let empty = unsafe message(Base(table: noTable, version: thisVersion)) ?? ""
        #expect(empty.contains("1.31.1") && empty.contains("function table"))
        let unreadable = unsafe message(Base(table: noTable, version: noVersion)) ?? ""
        #expect(unreadable.contains("nightly"))
    }

    @Test("What is no library is refused with the reason")
    func noLibrary() throws {
        let folder = try TestFolder()
        try folder.write("libonnxruntime.so", "text")
        let path = try #require(ONNXRuntimeLibrary.library(at: folder.path))
        #expect(path == PathName.join(folder.path, "libonnxruntime.so"))
        let error = #expect(throws: EngineError.self) {
            _ = try ONNXRuntimeLibrary.open(path: path)
        }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains(path) == true)
        let other = #expect(throws: EngineError.self) {
            _ = try ONNXRuntimeLibrary.open(path: "libc.so.6")
        }
        #expect(other?.message.contains("OrtGetApiBase") == true)
        #expect(ONNXRuntimeLibrary.library(at: folder.path + "/nothing") == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletStorage

/// A folder in the file system that is gone when the object is.
package final class TestFolder {
    package let path: String

    package init() throws {
        var template = Array("/tmp/martlet-test-XXXXXX\0".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw TestFolderError("mkdtemp") }
        path = String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { TestFolder.remove(path) }

    private static func remove(_ path: String) {
        if FileSystem.isDirectory(path) {
            for name in (try? FileSystem.list(path)) ?? [] { remove(PathName.join(path, name)) }
            _ = unsafe rmdir(path)
        } else {
            _ = unsafe unlink(path)
        }
    }

    package func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    package func write(_ name: String, _ bytes: [UInt8]) throws {
        let file = PathName.join(path, name)
        _ = unsafe mkdir(PathName.directory(file), 0o755)
        guard let stream = unsafe fopen(file, "wb") else { throw TestFolderError(file) }
        defer { _ = unsafe fclose(stream) }
        let written = unsafe bytes.withUnsafeBytes { bytes in
            unsafe fwrite(bytes.baseAddress, 1, bytes.count, stream)
        }
        guard written == bytes.count else { throw TestFolderError(file) }
    }

    package func remove(_ name: String) { TestFolder.remove(PathName.join(path, name)) }
}

package struct TestFolderError: Error {
    package let what: String
    package init(_ what: String) { self.what = what }
}

/// A safetensors file in the making.
package struct SafetensorsBytes {
    package init() {}

    private var entries: [String] = []
    private var data: [UInt8] = []

    package mutating func add(_ name: String, _ dimensions: [Int], _ values: [Float]) {
        let start = data.count
        for value in values {
            unsafe withUnsafeBytes(of: value) { unsafe data.append(contentsOf: $0) }
        }
        entries.append(
            #""\#(name)":{"dtype":"F32","shape":\#(dimensions),"data_offsets":[\#(start),\#(data.count)]}"#
        )
    }

    package var bytes: [UInt8] {
        var header = Array("{\(entries.joined(separator: ","))}".utf8)
        while header.count % 8 != 0 { header.append(0x20) }
        let size = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
        return size + header + data
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletStorage
internal import Testing

/// A new folder that goes away with this object, and what tests do in it.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
        let isMade = unsafe mkdtemp(&template) != nil
        try #require(isMade)
        path = String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        remove("")
    }

    func full(_ name: String) -> String { name.isEmpty ? path : path + "/" + name }

    func makeFolder(_ name: String) {
        #expect(unsafe mkdir(full(name), 0o755) == 0, "\(name)")
    }

    func write(_ name: String, _ bytes: [UInt8] = [1, 2, 3]) {
        let file = unsafe fopen(full(name), "wb")
        #expect(unsafe file != nil, "\(name)")
        guard let file = unsafe file else { return }
        _ = unsafe fwrite(bytes, 1, bytes.count, file)
        _ = unsafe fclose(file)
    }

    func rename(_ old: String, _ new: String) {
        #expect(unsafe Glibc.rename(full(old), full(new)) == 0, "\(old) to \(new)")
    }

    func link(_ name: String, to target: String) {
        #expect(unsafe symlink(target, full(name)) == 0, "\(name)")
    }

    /// Deletes an entry with all below it.
    func remove(_ name: String) {
        let path = full(name)
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for child in (try? FileSystem.list(path)) ?? [] {
                remove(name.isEmpty ? child : name + "/" + child)
            }
            _ = unsafe rmdir(path)
        } else {
            _ = unsafe unlink(path)
        }
    }
}

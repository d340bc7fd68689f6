// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// What the programs need of the file system, without Foundation.
public enum FileSystem {
    public static func exists(_ path: String) -> Bool {
        mode(of: path) != nil
    }

    public static func isDirectory(_ path: String) -> Bool {
        mode(of: path) == S_IFDIR
    }

    public static func isRegularFile(_ path: String) -> Bool {
        mode(of: path) == S_IFREG
    }

    /// A regular file's size in bytes.
    public static func size(of path: String) throws(StorageError) -> Int {
        let descriptor = try FileDescriptor(reading: path)
        return try descriptor.regularFileSize()
    }

    /// The names in a directory, sorted by their bytes, without "." and "..".
    public static func list(_ path: String, limit: Int = 100_000) throws(StorageError) -> [String] {
        guard let directory = unsafe opendir(path) else {
            throw .system("list", path: path, errno: errno)
        }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(directory) else { break }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { characters in
                    unsafe String(cString: characters)
                }
            }
            if name == "." || name == ".." { continue }
            guard names.count < limit else {
                throw StorageError(
                    code: .tooLarge, path: path,
                    message: "list '\(path)': more than \(limit) entries")
            }
            names.append(name)
        }
        guard errno == 0 else { throw .system("list", path: path, errno: errno) }
        return names.sorted()
    }

    /// A regular file's bytes, read into memory; throws when there are more than `limit`.
    public static func readAll(_ path: String, limit: Int) throws(StorageError) -> [UInt8] {
        let descriptor = try FileDescriptor(reading: path)
        let size = try descriptor.regularFileSize()
        guard size <= limit else { throw tooLarge(path, size: size, limit: limit) }
        // The file may grow or shrink while it is read: take what there is, up to the limit.
        var contents: [UInt8] = []
        contents.reserveCapacity(size + 1)
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                retryingRead {
                    unsafe read(descriptor.number, buffer.baseAddress, buffer.count)
                }
            }
            if count < 0 { throw .system("read", path: path, errno: errno) }
            if count == 0 { return contents }
            contents.append(contentsOf: chunk[0..<count])
            guard contents.count <= limit else {
                throw tooLarge(path, size: contents.count, limit: limit)
            }
        }
    }

    /// A UTF-8 text file's contents.
    public static func readText(_ path: String, limit: Int) throws(StorageError) -> String {
        let bytes = try readAll(path, limit: limit)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw StorageError(
                code: .notText, path: path, message: "read '\(path)': it is not UTF-8 text")
        }
        return text
    }

    /// The absolute path with every link and ".." resolved.
    public static func realPath(_ path: String) throws(StorageError) -> String {
        guard let resolved = unsafe realpath(path, nil) else {
            throw .system("resolve", path: path, errno: errno)
        }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// What tells one file from another, whatever its name.
    struct Identity: Hashable {
        var device: UInt64
        var node: UInt64
    }

    static func identity(of path: String) -> Identity? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), node: UInt64(status.st_ino))
    }

    private static func mode(of path: String) -> mode_t? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return status.st_mode & S_IFMT
    }

    private static func tooLarge(_ path: String, size: Int, limit: Int) -> StorageError {
        StorageError(
            code: .tooLarge, path: path,
            message: "read '\(path)': \(size) bytes, more than the limit of \(limit)")
    }

    private static func retryingRead(_ call: () -> Int) -> Int {
        while true {
            let result = call()
            if result != -1 || errno != EINTR { return result }
        }
    }
}

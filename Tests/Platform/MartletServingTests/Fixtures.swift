// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletEngine
internal import MartletServing
internal import MartletStorage
internal import MartletTensor

/// A folder that lives as long as this value does.
final class ScratchFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/martlet-serving-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw ServingError(.internal, "no scratch folder")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { ScratchFolder.remove(path) }

    /// Writes a file, making the folders above it; replaces by rename.
    func write(_ name: String, _ text: String = "") throws {
        let target = path + "/" + name
        var made = path
        for part in name.split(separator: "/").dropLast() {
            made += "/" + part
            unsafe mkdir(made, 0o755)
        }
        guard let file = unsafe fopen(target + ".new", "w") else {
            throw ServingError(.internal, "cannot write \(target)")
        }
        unsafe fputs(text, file)
        unsafe fclose(file)
        unsafe rename(target + ".new", target)
    }

    /// Writes a file in place, as a careless copy does.
    func overwrite(_ name: String, _ text: String) throws {
        guard let file = unsafe fopen(path + "/" + name, "w") else {
            throw ServingError(.internal, "cannot write \(name)")
        }
        unsafe fputs(text, file)
        unsafe fclose(file)
    }

    /// What this process holds in memory now.
    static var residentBytes: Int {
        let text = String(decoding: (try? read("/proc/self/statm")) ?? [], as: UTF8.self)
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    static func read(_ path: String) throws -> [UInt8] {
        try FileSystem.readAll(path, limit: 1 << 20)
    }

    func remove(_ name: String) { ScratchFolder.remove(path + "/" + name) }

    private static func remove(_ path: String) {
        if let directory = unsafe opendir(path) {
            while let entry = unsafe readdir(directory) {
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                    unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                        unsafe String(cString: $0)
                    }
                }
                if name != ".", name != ".." { remove(path + "/" + name) }
            }
            unsafe closedir(directory)
            unsafe rmdir(path)
        } else {
            unsafe unlink(path)
        }
    }
}

extension Tensor {
    /// A FP32 tensor with these values.
    static func floats(_ values: [Float], _ shape: Shape) throws -> Tensor {
        let storage = TensorStorage(byteCount: values.count * 4)
        _ = unsafe storage.mutableBytes.bindMemory(to: Float.self).update(fromContentsOf: values)
        return try Tensor(elementType: .float32, shape: shape, storage: storage)
    }

    var floats: [Float] { unsafe Array(bytes.bindMemory(to: Float.self)) }
}

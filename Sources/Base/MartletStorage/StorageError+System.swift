// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletPlatform
internal import Glibc

extension StorageError {
    /// What `errno` says about a failed call on `path`.
    static func system(_ operation: String, path: String, errno number: Int32) -> StorageError {
        let code: Code =
            switch number {
            case ENOENT: .notFound
            case EACCES, EPERM: .permissionDenied
            case ENOTDIR: .notADirectory
            case EISDIR: .notARegularFile
            default: .inputOutput
            }
        return StorageError(
            code: code, path: path, message: "\(operation) '\(path)': \(errorText(number))")
    }

    /// The system's text for an error number.
    static func errorText(_ number: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        unsafe buffer.withUnsafeMutableBufferPointer { buffer in
            unsafe martlet_error_text(number, buffer.baseAddress, buffer.count)
        }
        let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

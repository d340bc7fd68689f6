// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletStorage

/// A folder for files that a load call brought; removed with this value. Loaded models keep what
/// they mapped.
final class UploadedFiles: Sendable {
    static let byteCountMax = 8 << 30
    let folder: String

    /// Writes `files` ("<version>/<file>" → content) as one model's folder.
    /// - Throws: `ServingError` for a path that is no such thing, `.internal` when writing fails.
    init(model: String, files: [String: [UInt8]]) throws(ServingError) {
        var template = Array("/tmp/martlet-upload-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw ServingError(.internal, "cannot make a folder for uploaded files (\(errno))")
        }
        folder = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var left = UploadedFiles.byteCountMax
        for (path, content) in files {
            let name = path.hasPrefix("file:") ? String(path.dropFirst("file:".count)) : path
            let parts = name.split(separator: "/")
            guard PathName.staysInside(name), parts.count == 2, let version = Int64(parts[0]),
                version > 0
            else {
                throw ServingError(
                    .invalidArgument,
                    "failed to load '\(model)', '\(path)' is not file:<version>/<name>")
            }
            left -= content.count
            guard left >= 0 else {
                throw ServingError(
                    .payloadTooLarge, "failed to load '\(model)', the files are too large")
            }
            let inner = PathName.join(folder, String(parts[0]))
            unsafe mkdir(inner, 0o700)
            try UploadedFiles.store(content, to: PathName.join(inner, String(parts[1])))
        }
    }

    deinit {
        for name in (try? FileSystem.list(folder)) ?? [] {
            let inner = PathName.join(folder, name)
            for file in (try? FileSystem.list(inner)) ?? [] {
                unsafe unlink(PathName.join(inner, file))
            }
            unsafe rmdir(inner)
        }
        unsafe rmdir(folder)
    }

    private static func store(_ content: [UInt8], to path: String) throws(ServingError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ServingError(.internal, "cannot write '\(path)' (\(errno))")
        }
        defer { close(descriptor) }
        var done = 0
        while done < content.count {
            let count = unsafe content.withUnsafeBytes { bytes in
                unsafe write(
                    descriptor, bytes.baseAddress.map { unsafe $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw ServingError(.internal, "cannot write '\(path)' (\(errno))")
            }
            done += count
        }
    }
}

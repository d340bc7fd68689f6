// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
internal import MartletStorage
internal import Synchronization

/// The files beside a model that hold tensors' data: mapped on first use, each once.
public final class ONNXExternalFiles: Sendable {
    /// The model's folder; nil for a model that came without one, where external data is an error.
    public let folder: String?
    private let mapped = Mutex<[String: ByteRegion]>([:])

    public init(folder: String?) {
        self.folder = folder
    }

    /// The files in use so far, by the paths that led to them.
    package var files: [(path: String, file: AnyObject)] {
        guard let folder else { return [] }
        return mapped.withLock { files in
            files.sorted { $0.key < $1.key }.map { location, region in
                (PathName.join(folder, location), region.owner)
            }
        }
    }

    /// The bytes of one tensor, in place. They must be exactly `byteCount` and inside the file, and
    /// the file, links followed, inside the folder.
    public func region(
        of data: ONNXExternalData, byteCount: Int, tensor: String
    ) throws(FormatError) -> ByteRegion {
        let file = try self.file(data.location, tensor: tensor)
        if let length = data.length, length != byteCount {
            throw failure(
                .malformed, tensor, "it takes \(byteCount) bytes, external length is \(length)")
        }
        guard let region = file.slice(offset: data.offset, count: byteCount) else {
            throw failure(
                .outOfBounds, tensor,
                "\(byteCount) bytes at \(data.offset) do not lie in '\(data.location)', which has "
                    + "\(file.count)")
        }
        return region
    }

    private func file(_ location: String, tensor: String) throws(FormatError) -> ByteRegion {
        if let known = mapped.withLock({ $0[location] }) { return known }
        guard let folder else {
            throw failure(
                .missing, tensor, "its data is in '\(location)', but the model has no folder")
        }
        guard PathName.staysInside(location) else {
            throw failure(
                .outOfBounds, tensor, "external location '\(location)' leaves the model's folder")
        }
        let region: ByteRegion
        do throws(StorageError) {
            let root = try FileSystem.realPath(folder)
            let path = try FileSystem.realPath(PathName.join(folder, location))
            guard path.hasPrefix(root.hasSuffix("/") ? root : root + "/") else {
                throw StorageError(
                    code: .outsideFolder, path: location,
                    message: "external location '\(location)' leads out of '\(folder)'")
            }
            region = try MappedFile(path: path).region
        } catch {
            throw failure(
                error.code == .outsideFolder ? .outOfBounds : .unreadable, tensor, error.message)
        }
        return mapped.withLock { files in
            if let known = files[location] { return known }
            files[location] = region
            return region
        }
    }

    private func failure(
        _ code: FormatError.Code, _ tensor: String, _ message: String
    ) -> FormatError {
        FormatError(format: .onnx, code: code, message: "tensor '\(tensor)': \(message)")
    }
}

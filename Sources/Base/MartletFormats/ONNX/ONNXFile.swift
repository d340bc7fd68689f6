// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
internal import MartletStorage

/// An ONNX file on disk: mapped, read, and with a way to its external data.
public struct ONNXFile: Sendable {
    public let path: String
    public let model: ONNXModel
    public let externalFiles: ONNXExternalFiles
    /// The mapped file's bytes.
    public let region: ByteRegion

    /// Maps and reads a model. Throws `StorageError` for the file, `FormatError` for its contents.
    public init(path: String, limits: ONNXLimits = ONNXLimits()) throws {
        let file = try MappedFile(path: path)
        self.path = path
        region = file.region
        do throws(FormatError) {
            model = try ONNXModel(region, limits: limits)
        } catch {
            var named = error
            named.message = "'\(path)': \(error.message)"
            throw named
        }
        externalFiles = ONNXExternalFiles(folder: PathName.directory(path))
    }
}

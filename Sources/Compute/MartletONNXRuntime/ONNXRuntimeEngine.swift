// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletEngine
internal import MartletStorage

/// Runs ONNX files with ONNX Runtime, for models with operators that the native engine lacks and
/// for comparisons.
///
/// All sessions of a process share the library's threads and its arena. It knows f32 arithmetic as
/// the file states it: `EngineOptions.precision`, passes and loop limits do not apply.
public struct ONNXRuntimeEngine: Engine {
    public var name: String { "onnxruntime" }
    public let library: ONNXRuntimeLibrary

    /// - Parameter library: nil looks for it, see `ONNXRuntimeLibrary.find()`.
    public init(library: ONNXRuntimeLibrary? = nil) throws(EngineError) {
        if let library {
            self.library = library
        } else {
            self.library = try ONNXRuntimeLibrary.find()
        }
    }

    public func load(_ source: ModelSource, options: EngineOptions) throws -> any EngineSession {
        guard case .onnxFile(let path) = source else {
            throw EngineError(
                .unsupported, "ONNX Runtime loads .onnx files; this model is built in memory")
        }
        let size: Int
        do throws(StorageError) {
            size = try FileSystem.size(of: path)
        } catch {
            throw EngineError(.invalidModel, error.description, cause: error)
        }
        guard size <= options.memoryBytesMax else {
            throw EngineError(
                .limitExceeded,
                "model '\(path)': \(size) bytes, the limit is \(options.memoryBytesMax)")
        }
        return try ONNXRuntimeSession(
            library: library, path: path, byteCount: size, options: options)
    }
}

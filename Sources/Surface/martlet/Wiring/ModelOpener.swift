// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletLanguage
internal import MartletServing
internal import MartletStorage

/// Turns a path that a person typed into something an engine can load.
enum ModelOpener {
    /// An ONNX file, a Hugging Face folder, or a folder with numbered versions of either (the
    /// highest is taken).
    /// - Throws: `CommandFailure` when the path is none of these.
    static func source(_ path: String) throws -> ModelSource {
        if FileSystem.isRegularFile(path) { return .onnxFile(path: path) }
        guard FileSystem.isDirectory(path) else { throw CommandFailure("\(path) is not there") }
        if ModelFolder.isModelFolder(path) {
            return .graph(try ModelFolder(path: path).makeGraph())
        }
        let versions = try FileSystem.list(path).compactMap { Int($0) }
        let folder = versions.max().map { PathName.join(path, "\($0)") } ?? path
        let file = PathName.join(folder, "model.onnx")
        if FileSystem.isRegularFile(file) { return .onnxFile(path: file) }
        if ModelFolder.isModelFolder(folder) {
            return .graph(try ModelFolder(path: folder).makeGraph())
        }
        throw CommandFailure(
            "\(path) is no model: not an .onnx file, and no config.json or model.onnx inside")
    }
}

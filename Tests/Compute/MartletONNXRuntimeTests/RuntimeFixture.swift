// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletEngine
internal import MartletONNXRuntime
internal import MartletStorage
internal import MartletTensor
internal import MartletTesting

/// ONNX Runtime as this machine has it. Without the library its tests are skipped; `./test`
/// installs it and names it, and then it must load.
enum RuntimeFixture {
    static let isThere: Bool = {
        if unsafe getenv(ONNXRuntimeLibrary.variable) != nil { return true }
        return (try? ONNXRuntimeLibrary.find()) != nil
    }()

    static func load(
        _ model: ONNXModelWriter, in folder: TestFolder? = nil,
        options: EngineOptions = EngineOptions()
    ) throws -> ONNXRuntimeSession {
        let folder = try folder ?? TestFolder()
        try folder.write("model.onnx", model.bytes)
        let session = try ONNXRuntimeEngine().load(
            .onnxFile(path: PathName.join(folder.path, "model.onnx")), options: options)
        guard let session = session as? ONNXRuntimeSession else {
            throw TestFolderError("another session")
        }
        return session
    }

    static func run(_ session: any EngineSession, _ inputs: [Tensor]) throws -> [Tensor] {
        var outputs: [Tensor] = []
        try session.makeContext().run(inputs, outputs: &outputs, cancellation: nil)
        return outputs
    }
}

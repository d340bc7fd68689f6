// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
package import MartletFormats
package import MartletGraph
internal import MartletStorage

/// A decoder on disk: a Hugging Face folder or a GGUF file, its weights mapped and not yet read.
package struct DecoderModel: Sendable {
    package let path: String
    package let configuration: DecoderConfiguration
    private let source: Source
    /// All that the graph is made from, mapped.
    let files: [MappedFile]

    private enum Source: Sendable {
        case safetensors(SafetensorsModel)
        case gguf(GGUFFile)
    }

    /// The GGUF file, where it is one: its metadata holds the tokenizer and the chat template.
    package var gguf: GGUFFile? {
        if case .gguf(let file) = source { file } else { nil }
    }

    /// Whether `path` looks like a decoder: a `.gguf` file, or a folder whose `config.json` names a
    /// decoder's family.
    package static func isDecoder(_ path: String) -> Bool {
        if path.hasSuffix(".gguf") { return FileSystem.isRegularFile(path) }
        guard let file = try? ConfigFile(optional: PathName.join(path, "config.json")),
            let type = try? file.string("model_type")
        else { return false }
        return DecoderConfiguration.families[type] != nil
    }

    /// Opens a model and checks its configuration.
    /// - Parameter options: models whose positions turn otherwise in long contexts are read for
    ///   the context that is served.
    /// - Throws: `LanguageError`, naming file and field.
    package init(
        path: String, options: DecoderOptions = DecoderOptions()
    ) throws(LanguageError) {
        self.path = path
        do {
            if FileSystem.isDirectory(path) {
                let file = try ConfigFile(path: PathName.join(path, "config.json"))
                configuration = try DecoderConfiguration(file, options)
                let model = try SafetensorsModel(path: path)
                source = .safetensors(model)
                let texts = ["config.json", "model.safetensors.index.json"]
                    .map { PathName.join(path, $0) }.filter { FileSystem.exists($0) }
                files =
                    try texts.map { try MappedFile(path: $0) }
                    + model.files.compactMap { $0.tensors.first?.bytes.owner as? MappedFile }
            } else {
                let mapped = try MappedFile(path: path)
                files = [mapped]
                let file = try GGUFFile(mapped.region)
                configuration = try DecoderConfiguration(file, path: path, options)
                source = .gguf(file)
            }
        } catch let error as LanguageError {
            throw error
        } catch {
            let isMissing = !FileSystem.exists(path)
            throw LanguageError(
                isMissing ? .missingFile : .invalidFile, "\(path): \(error)", cause: error)
        }
    }

    /// Builds the graph over the mapped weights.
    /// - Throws: `LanguageError`, listing every missing and misshapen weight at once.
    package func makeGraph(_ options: DecoderOptions) throws(LanguageError) -> Graph {
        let weights: DecoderWeights.Source =
            switch source {
            case .safetensors(let model): .safetensors(model)
            case .gguf(let file): .gguf(file)
            }
        var builder = DecoderBuilder(
            name: PathName.baseName(path), configuration: configuration,
            weights: DecoderWeights(weights, path: path), options: options)
        return try builder.build()
    }

    /// Loads the model. Blocks for as long as packing the weights takes: call it off the
    /// cooperative pool.
    /// - Throws: `LanguageError` or `EngineError`.
    package func load(_ options: DecoderOptions = DecoderOptions()) throws -> EngineDecoderRunner {
        try EngineDecoderRunner(self, options)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletConfiguration
internal import MartletEngine
internal import MartletYAML
internal import MartletServing

/// One item of `models.entries`: a path to serve, and stages around the model.
struct ModelEntry {
    /// Nil: as the path says, which may then be a whole repository.
    var name: String?
    var path: String
    var pipeline: PipelineConfiguration
    var engine: EngineChoice?
}

/// Reads `models.entries` of martlet.yaml.
///
///     models:
///       entries:
///         - path: /models/resnet50.onnx
///           name: resnet50             # as the path says, unless given
///           pre: [decode_image, "resize:224:256", "normalize:imagenet"]
///           post: [softmax, "top_k:5:/models/labels.txt"]
///           engine: auto               # as engine.name, unless given
enum ModelEntryReader {
    private static let keys = ["name", "path", "pre", "post", "engine"]

    /// - Throws: `ConfigurationError` with the line of what is wrong.
    static func read(_ nodes: [YAMLNode]) throws(ConfigurationError) -> [ModelEntry] {
        var entries: [ModelEntry] = []
        for node in nodes { entries.append(try entry(node)) }
        return entries
    }

    private static func entry(_ node: YAMLNode) throws(ConfigurationError) -> ModelEntry {
        guard let fields = node.entries else {
            throw ConfigurationError(
                .invalidValue, "a model entry is a section with a path, got \(node.kind)",
                position: node.position)
        }
        var name: String?
        var path: String?
        var engine: EngineChoice?
        var pipeline = PipelineConfiguration()
        for field in fields {
            switch field.key {
            case "name": name = try text(field)
            case "path": path = try text(field)
            case "pre": pipeline.pre = try stages(field)
            case "engine": engine = try choice(field)
            case "post": pipeline.post = try stages(field)
            default:
                throw ConfigurationError(
                    .unknownKey,
                    "unknown key '\(field.key)' of a model entry; known are "
                        + keys.joined(separator: ", "), position: field.position)
            }
        }
        guard let path else {
            throw ConfigurationError(
                .invalidValue, "a model entry needs a path", position: node.position)
        }
        return ModelEntry(name: name, path: path, pipeline: pipeline, engine: engine)
    }

    private static func choice(_ field: YAMLNode.Entry) throws(ConfigurationError) -> EngineChoice {
        guard let choice = EngineChoice(rawValue: try text(field)) else {
            throw ConfigurationError(
                .invalidValue,
                "'engine' takes " + EngineChoice.allCases.map(\.rawValue).joined(separator: ", "),
                position: field.value.position)
        }
        return choice
    }

    private static func text(_ field: YAMLNode.Entry) throws(ConfigurationError) -> String {
        guard let text = field.value.text, !text.isEmpty else {
            throw ConfigurationError(
                .invalidValue, "'\(field.key)' takes a text", position: field.value.position)
        }
        return text
    }

    private static func stages(
        _ field: YAMLNode.Entry
    ) throws(ConfigurationError) -> [PipelineConfiguration.Stage] {
        let parts = field.value.items ?? [field.value]
        var stages: [PipelineConfiguration.Stage] = []
        for part in parts {
            guard let text = part.text else {
                throw ConfigurationError(
                    .invalidValue, "'\(field.key)' takes a list of stages",
                    position: part.position)
            }
            do throws(ServingError) {
                stages += try PipelineConfiguration.stages(parsing: text)
            } catch {
                throw ConfigurationError(
                    .invalidValue, error.message, position: part.position)
            }
        }
        return stages
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletEngine

/// A model found in a repository, before anything of it is loaded.
package struct ModelCandidate: Sendable, Hashable {
    /// What a version's files are.
    package enum Location: Sendable, Hashable {
        case onnxFile(String)
        /// A Hugging Face folder: config.json, model.safetensors, tokenizer.json.
        case encoderFolder(String)
        /// A decoder's GGUF file.
        case decoderFile(String)
        /// A version's folder in Triton's layout: what is in it is looked at when it is loaded.
        case folder(String)
    }

    package struct Version: Sendable, Hashable {
        package var number: Int64
        package var location: Location
        /// Changes when a file of the version does.
        package var fingerprint: UInt64

        package init(number: Int64, location: Location, fingerprint: UInt64 = 0) {
            self.number = number
            self.location = location
            self.fingerprint = fingerprint
        }
    }

    package var name: String
    /// Where config.pbtxt, labels and warm-up data lie.
    package var folder: String
    /// What config.pbtxt, or a load call in its place, says; nil when there is neither.
    package var configuration: ConfigurationSource?
    /// Stages that the operator's own settings put around the model, in place of the
    /// configuration's; they may name files anywhere.
    package var pipeline: PipelineConfiguration?
    /// The engine that the operator's own settings name.
    package var engine: EngineChoice?
    /// Ascending by number.
    package var versions: [Version]

    package init(
        name: String, folder: String, configuration: ConfigurationSource? = nil,
        versions: [Version]
    ) {
        self.name = name
        self.folder = folder
        self.configuration = configuration
        self.versions = versions
    }

    /// The file or folder that it was found as.
    var path: String {
        switch versions.first?.location {
        case .onnxFile(let path), .decoderFile(let path): path
        default: folder
        }
    }
}

/// A configuration as somebody wrote it.
package enum ConfigurationSource: Sendable, Hashable {
    /// The text of a config.pbtxt and its path, for errors.
    case text([UInt8], path: String)
    /// The JSON of a load call.
    case json([UInt8])
    /// A config.pbtxt that cannot be read, and why: a fault of this model, not of the repository.
    case unreadable(String)

    /// What warnings about it begin with.
    var place: String {
        switch self {
        case .text(_, let path): path
        case .json, .unreadable: "the configuration"
        }
    }
}

extension ModelConfiguration.VersionPolicy {
    /// Which of the numbers present are served, ascending.
    package func select(from present: [Int64]) -> [Int64] {
        let sorted = Array(Set(present)).sorted()
        switch self {
        case .latest(let count): return Array(sorted.suffix(max(1, count)))
        case .all: return sorted
        case .specific(let wanted): return sorted.filter(wanted.contains)
        }
    }
}

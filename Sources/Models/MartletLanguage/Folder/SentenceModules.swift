// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletStorage

/// What turns the encoder's hidden states into a sentence's vector, as `modules.json` lists it.
public struct SentenceModules: Sendable, Hashable {
    public enum Pooling: String, Sendable {
        case mean
        case firstToken = "cls"
        case maximum = "max"
        case meanSquareRoot = "mean_sqrt_len_tokens"
    }

    /// One step after pooling.
    public enum Step: Sendable, Hashable {
        /// `activation(W · x + b)`; the weights are in `folder`.
        case dense(folder: String, inputs: Int, outputs: Int, hasBias: Bool, activation: String)
        case normalize
    }

    public var pooling: Pooling
    public var steps: [Step]

    /// A folder without `modules.json`: the mean of the tokens, as sentence-transformers takes it.
    static let plain = SentenceModules(pooling: .mean, steps: [])

    init(pooling: Pooling, steps: [Step]) {
        self.pooling = pooling
        self.steps = steps
    }

    /// Reads `modules.json` and the folders it names.
    init(folder: String, hiddenSize: Int) throws(LanguageError) {
        let path = PathName.join(folder, "modules.json")
        guard FileSystem.exists(path) else {
            self = .plain
            return
        }
        guard case .array(let modules) = try ConfigFile.value(path: path) else {
            throw LanguageError(.invalidFile, "\(path): expected an array of modules")
        }
        var pooling: Pooling?
        var steps: [Step] = []
        for (index, module) in modules.enumerated() {
            guard let type = module["type"]?.stringValue, let place = module["path"]?.stringValue
            else {
                throw LanguageError(
                    .invalidFile, "\(path): [\(index)]: expected members type and path")
            }
            guard place.isEmpty || PathName.staysInside(place) else {
                throw LanguageError(
                    .invalidFile, "\(path): [\(index)].path: '\(place)' leaves the folder")
            }
            let name = type.split(separator: ".").last.map(String.init) ?? type
            let subfolder = place.isEmpty ? folder : PathName.join(folder, place)
            switch (name, index) {
            case ("Transformer", 0), ("Dropout", _): continue
            case ("Pooling", 1): pooling = try SentenceModules.pooling(subfolder, hiddenSize)
            case ("Dense", 2...): steps.append(try SentenceModules.dense(subfolder))
            case ("Normalize", 2...): steps.append(.normalize)
            default:
                throw LanguageError(
                    .unsupported, "\(path): [\(index)]: the module \(type) is not supported there")
            }
        }
        guard let pooling else {
            throw LanguageError(.invalidFile, "\(path): no Pooling module")
        }
        self.init(pooling: pooling, steps: steps)
    }

    private static func pooling(
        _ folder: String, _ hiddenSize: Int
    ) throws(LanguageError) -> Pooling {
        let file = try ConfigFile(path: PathName.join(folder, "config.json"))
        if let width = try file.integer(
            "word_embedding_dimension", "embedding_dimension", in: 1...1 << 20),
            width != hiddenSize
        {
            throw LanguageError(
                .invalidFile,
                "\(file.path): word_embedding_dimension is \(width), the encoder's hidden_size "
                    + "\(hiddenSize)")
        }
        var chosen: [String] = []
        if let mode = try file.string("pooling_mode") { chosen.append(mode) }
        let flags = [
            "pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean",
            "pooling_mode_max_tokens": "max",
            "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
            "pooling_mode_weightedmean_tokens": "weightedmean",
            "pooling_mode_lasttoken": "lasttoken",
        ]
        for (flag, mode) in flags.sorted(by: { $0.key < $1.key })
        where try file.bool(flag) == true && !chosen.contains(mode) {
            chosen.append(mode)
        }
        guard chosen.count == 1, let mode = chosen.first, let pooling = Pooling(rawValue: mode)
        else {
            throw LanguageError(
                .unsupported,
                "\(file.path): the pooling \(chosen.joined(separator: " and ")) is not supported; "
                    + "one of cls, mean, max and mean_sqrt_len_tokens is")
        }
        return pooling
    }

    private static func dense(_ folder: String) throws(LanguageError) -> Step {
        let file = try ConfigFile(path: PathName.join(folder, "config.json"))
        let sizes = 1...1 << 20
        guard let inputs = try file.integer("in_features", in: sizes) else {
            throw file.missing("in_features")
        }
        guard let outputs = try file.integer("out_features", in: sizes) else {
            throw file.missing("out_features")
        }
        let function = try file.string("activation_function") ?? "torch.nn.modules.linear.Identity"
        let name = function.split(separator: ".").last.map(String.init) ?? function
        let activations = ["Identity": "", "Tanh": "Tanh", "ReLU": "Relu", "GELU": "Gelu"]
        guard let activation = activations[name] else {
            throw LanguageError(
                .unsupported, "\(file.path): activation_function: \(function) is not supported")
        }
        return .dense(
            folder: folder, inputs: inputs, outputs: outputs,
            hasBias: try file.bool("bias") ?? true, activation: activation)
    }
}

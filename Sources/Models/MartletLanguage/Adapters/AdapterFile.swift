// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletJSON
internal import MartletStorage

/// A low-rank adapter as PEFT saves it (`adapter_config.json`, `adapter_model.safetensors`), read
/// and checked against a decoder: y += scale · B (A x) for some products of some layers.
///
/// Settings that change the arithmetic and are not supported are refused by name.
package struct AdapterFile: Sendable {
    struct Pair: Sendable {
        /// The product's number.
        var module: Int
        var rank: Int
        /// [rank, inputs], and [outputs, rank] times the scale.
        var down: [Float]
        var up: [Float]
    }

    let pairs: [Pair]

    package var byteCount: Int { pairs.reduce(0) { $0 + ($1.down.count + $1.up.count) * 4 } }

    static let rankMax = 256

    /// - Throws: `LanguageError`, naming the setting or the tensor.
    package init(
        folder: String, configuration: DecoderConfiguration
    ) throws(LanguageError) {
        let settings = try AdapterSettings(folder: folder)
        let path = PathName.join(folder, "adapter_model.safetensors")
        guard FileSystem.isRegularFile(path) else {
            throw LanguageError(.missingFile, "'\(path)' is missing")
        }
        let file: SafetensorsFile
        do {
            file = try SafetensorsFile(MappedFile(path: path).region)
        } catch {
            throw LanguageError(.invalidFile, "\(path): \(error)", cause: error)
        }
        let modules = AdapterModule.all(configuration)
        var downs: [Int: (tensor: SafetensorsTensor, module: AdapterModule, name: String)] = [:]
        var ups: [Int: SafetensorsTensor] = [:]
        for tensor in file.tensors {
            guard let place = AdapterFile.place(tensor.name),
                place.layer < configuration.layerCount,
                let module = modules.first(where: { $0.name == place.module }),
                let number = AdapterModule.number(module.part, layer: place.layer)
            else {
                throw LanguageError(
                    .unsupported, "\(path): '\(tensor.name)' adapts nothing that can be adapted")
            }
            if place.isDown {
                downs[number] = (tensor, module, place.name)
            } else {
                ups[number] = tensor
            }
        }
        var pairs: [Pair] = []
        for (number, down) in downs.sorted(by: { $0.key < $1.key }) {
            guard let up = ups.removeValue(forKey: number) else {
                throw LanguageError(.invalidFile, "\(path): '\(down.tensor.name)' has no B")
            }
            pairs.append(
                try AdapterFile.pair(
                    number, down.tensor, up, down.module, settings, name: down.name,
                    isInterleaved: configuration.rotary.isInterleaved,
                    headSize: configuration.headSize, path: path))
        }
        guard ups.isEmpty, !pairs.isEmpty else {
            throw LanguageError(.invalidFile, "\(path): a B without its A, or nothing at all")
        }
        self.pairs = pairs
    }

    /// "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight", also with the adapter's
    /// name behind lora_A.
    private static func place(
        _ name: String
    ) -> (layer: Int, module: String, isDown: Bool, name: String)? {
        let parts = name.split(separator: ".").map(String.init)
        guard let kind = parts.firstIndex(where: { $0 == "lora_A" || $0 == "lora_B" }), kind > 2,
            parts.last == "weight", let layers = parts.firstIndex(of: "layers"),
            layers + 1 < kind, let layer = Int(parts[layers + 1]), layer >= 0
        else { return nil }
        let full = parts[..<kind].joined(separator: ".").replacing("base_model.model.", with: "")
        return (layer, parts[kind - 1], parts[kind] == "lora_A", full)
    }

    private static func pair(
        _ number: Int, _ down: SafetensorsTensor, _ up: SafetensorsTensor,
        _ module: AdapterModule, _ settings: AdapterSettings, name: String, isInterleaved: Bool,
        headSize: Int, path: String
    ) throws(LanguageError) -> Pair {
        let rank = down.dimensions.first ?? 0
        guard down.dimensions == [rank, module.inputs], up.dimensions == [module.outputs, rank],
            (1...rankMax).contains(rank)
        else {
            throw LanguageError(
                .invalidFile,
                "\(path): '\(down.name)' \(down.dimensions) and '\(up.name)' \(up.dimensions): "
                    + "expected [rank, \(module.inputs)] and [\(module.outputs), rank], rank 1 to "
                    + "\(rankMax)")
        }
        do {
            let scale = settings.scale(name, rank: rank)
            var raised = try StoredTensor(up).floats().map { $0 * scale }
            let lowered = try StoredTensor(down).floats()
            guard raised.allSatisfy(\.isFinite), lowered.allSatisfy(\.isFinite) else {
                throw LanguageError(.invalidFile, "\(path): '\(down.name)' is not finite")
            }
            // GGUF's Llama has its heads' halves interleaved.
            if isInterleaved, module.part == .query || module.part == .key {
                let plain = raised
                for row in 0..<module.outputs {
                    let (head, place) = (row / headSize, row % headSize)
                    let from = head * headSize + place % 2 * (headSize / 2) + place / 2
                    for column in 0..<rank {
                        raised[row * rank + column] = plain[from * rank + column]
                    }
                }
            }
            return Pair(module: number, rank: rank, down: lowered, up: raised)
        } catch let error as LanguageError {
            throw error
        } catch {
            throw LanguageError(.invalidFile, "\(path): \(error)", cause: error)
        }
    }
}

/// `adapter_config.json`, as far as it changes the arithmetic.
private struct AdapterSettings {
    private let rank: Double
    private let alpha: Double
    private let alphas: JSONObject
    private let isStabilized: Bool

    /// Members that must be null, false, empty or absent.
    private static let refused = [
        "use_dora", "modules_to_save", "fan_in_fan_out", "layer_replication", "lora_bias",
        "trainable_token_indices", "target_parameters", "use_qalora", "alora_invocation_tokens",
        "use_bdlora", "megatron_config", "arrow_config",
    ]

    init(folder: String) throws(LanguageError) {
        let file = try ConfigFile(path: PathName.join(folder, "adapter_config.json"))
        func refuse(_ name: String) -> LanguageError {
            LanguageError(
                .unsupported,
                "\(file.path): \(name): \(file.object[name] ?? .null) is not supported")
        }
        if let type = try file.string("peft_type"), type.uppercased() != "LORA" {
            throw refuse("peft_type")
        }
        for name in AdapterSettings.refused {
            switch file.object[name] {
            case nil, .null?, .bool(false)?, .string("")?: continue
            case .array(let list)? where list.isEmpty: continue
            case .object(let members)? where members.isEmpty: continue
            default: throw refuse(name)
            }
        }
        if let bias = try file.string("bias"), bias != "none" { throw refuse("bias") }
        rank = try file.number("r") ?? 8
        alpha = try file.number("lora_alpha") ?? rank
        alphas = file.object["alpha_pattern"]?.objectValue ?? JSONObject()
        isStabilized = try file.bool("use_rslora") ?? false
        guard rank >= 1, alpha.isFinite else { throw refuse("r") }
    }

    /// By the rank that the tensors have: patterns name modules by the end of their names.
    func scale(_ name: String, rank: Int) -> Float {
        var alpha = alpha
        for (pattern, value) in alphas
        where name == pattern || name.hasSuffix("." + pattern) {
            alpha = value.doubleValue ?? alpha
        }
        let divisor = isStabilized ? Double(rank).squareRoot() : Double(rank)
        return Float(alpha / divisor)
    }
}

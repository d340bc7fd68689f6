// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats

/// Takes a decoder's weights by what they are, from safetensors or GGUF, and collects what is wrong
/// with them.
struct DecoderWeights {
    enum Source {
        case safetensors(SafetensorsModel)
        case gguf(GGUFFile)
    }

    let source: Source
    let path: String
    private(set) var problems: [String] = []
    /// What every name begins with in a safetensors file ("model.", "language_model.model.", "").
    private let prefix: String

    init(_ source: Source, path: String) {
        self.source = source
        self.path = path
        guard case .safetensors(let model) = source else {
            prefix = ""
            return
        }
        let candidates = ["model.", "", "language_model.model.", "model.language_model."]
        prefix = candidates.first { model[$0 + "embed_tokens.weight"] != nil } ?? "model."
    }

    var isGGUF: Bool {
        if case .gguf = source { true } else { false }
    }

    /// The full name of a weight in this file.
    func name(_ part: DecoderPart, layer: Int?, suffix: String) -> String {
        if isGGUF {
            return (layer.map { "blk.\($0)." } ?? "") + part.ggufName + "." + suffix
        }
        if part == .head { return part.rawValue + "." + suffix }
        return prefix + (layer.map { "layers.\($0)." } ?? "") + part.safetensorsName + "." + suffix
    }

    func find(_ part: DecoderPart, layer: Int? = nil, suffix: String = "weight") -> StoredTensor? {
        let name = name(part, layer: layer, suffix: suffix)
        switch source {
        case .safetensors(let model): return model[name].map { StoredTensor($0) }
        case .gguf(let file): return file[name].map { StoredTensor($0) }
        }
    }

    /// A weight that must be there with these dimensions; notes a problem otherwise.
    mutating func take(
        _ part: DecoderPart, layer: Int? = nil, suffix: String = "weight", _ dimensions: [Int]
    ) -> StoredTensor? {
        let found = find(part, layer: layer, suffix: suffix)
        return checked(found, name(part, layer: layer, suffix: suffix), dimensions)
    }

    /// One expert's weight: a tensor of its own, or in GGUF a slice of all experts'.
    mutating func takeExpert(
        _ part: ExpertPart, _ expert: Int, of experts: Int, layer: Int, _ dimensions: [Int]
    ) -> StoredTensor? {
        switch source {
        case .gguf(let file):
            let name = "blk.\(layer).\(part.ggufName).weight"
            guard var all = file[name].map({ StoredTensor($0) }),
                all.dimensions == [experts] + dimensions,
                let bytes = all.bytes.slice(
                    offset: expert * (all.bytes.count / experts), count: all.bytes.count / experts)
            else { return checked(nil, name, [experts] + dimensions) }
            all.dimensions = dimensions
            all.bytes = bytes
            return checked(all, name, dimensions)
        case .safetensors(let model):
            let candidates = [
                "mlp.experts.\(expert).\(part.rawValue)",
                "block_sparse_moe.experts.\(expert).\(part.mixtralName)",
            ].map { prefix + "layers.\(layer).\($0).weight" }
            let found = candidates.lazy.compactMap { model[$0] }.first
            return checked(found.map { StoredTensor($0) }, candidates[0], dimensions)
        }
    }

    private mutating func checked(
        _ found: StoredTensor?, _ name: String, _ dimensions: [Int]
    ) -> StoredTensor? {
        guard let found else {
            note("'\(name)' \(dimensions) is missing")
            return nil
        }
        guard found.dimensions == dimensions else {
            note("'\(found.name)': expected \(dimensions), found \(found.dimensions)")
            return nil
        }
        guard DecoderWeights.formats.contains(found.format) else {
            note("'\(found.name)': weights of type \(found.format) are not supported")
            return nil
        }
        return found
    }

    mutating func note(_ problem: String) { problems.append(problem) }

    private static let formats: Set<String> = [
        "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K",
    ]

    /// Throws when anything was noted, naming the first twenty problems.
    func check() throws(LanguageError) {
        guard !problems.isEmpty else { return }
        let shown = problems.prefix(20).joined(separator: "; ")
        let more = problems.count > 20 ? "; and \(problems.count - 20) more" : ""
        throw LanguageError(
            .invalidFile,
            "\(path): \(problems.count) weights do not fit the configuration: \(shown)\(more)")
    }
}

/// An expert's matrices. Raw values are Qwen's names.
enum ExpertPart: String, CaseIterable {
    case gate = "gate_proj"
    case up = "up_proj"
    case down = "down_proj"

    var mixtralName: String {
        switch self {
        case .gate: "w1"
        case .up: "w3"
        case .down: "w2"
        }
    }

    var ggufName: String {
        switch self {
        case .gate: "ffn_gate_exps"
        case .up: "ffn_up_exps"
        case .down: "ffn_down_exps"
        }
    }
}

/// What a decoder's weights are for. Raw values are Hugging Face's names.
enum DecoderPart: String {
    case embedding = "embed_tokens"
    case finalNorm = "norm"
    case head = "lm_head"
    case query = "self_attn.q_proj"
    case key = "self_attn.k_proj"
    case value = "self_attn.v_proj"
    case queryKeyValue = "self_attn.qkv_proj"
    case attentionOutput = "self_attn.o_proj"
    case queryNorm = "self_attn.q_norm"
    case keyNorm = "self_attn.k_norm"
    case attentionNorm = "input_layernorm"
    /// The norm before the feed-forward part, where there are two norms a layer.
    case secondNorm = "post_attention_layernorm"
    // Where there are four, as Gemma has them.
    case attentionPostNorm
    case feedForwardNorm = "pre_feedforward_layernorm"
    case feedForwardPostNorm = "post_feedforward_layernorm"
    case gate = "mlp.gate_proj"
    case up = "mlp.up_proj"
    case gateUp = "mlp.gate_up_proj"
    case down = "mlp.down_proj"
    case router = "mlp.gate"
    case mixtralRouter = "block_sparse_moe.gate"
    case sharedGate = "mlp.shared_expert.gate_proj"
    case sharedUp = "mlp.shared_expert.up_proj"
    case sharedDown = "mlp.shared_expert.down_proj"
    case sharedRouter = "mlp.shared_expert_gate"

    var safetensorsName: String {
        self == .attentionPostNorm ? DecoderPart.secondNorm.rawValue : rawValue
    }

    var ggufName: String {
        switch self {
        case .embedding: "token_embd"
        case .finalNorm: "output_norm"
        case .head: "output"
        case .query: "attn_q"
        case .key: "attn_k"
        case .value: "attn_v"
        case .queryKeyValue: "attn_qkv"
        case .attentionOutput: "attn_output"
        case .queryNorm: "attn_q_norm"
        case .keyNorm: "attn_k_norm"
        case .attentionNorm: "attn_norm"
        case .secondNorm, .feedForwardNorm: "ffn_norm"
        case .attentionPostNorm: "post_attention_norm"
        case .feedForwardPostNorm: "post_ffw_norm"
        case .gate: "ffn_gate"
        case .up, .gateUp: "ffn_up"
        case .down: "ffn_down"
        case .router, .mixtralRouter: "ffn_gate_inp"
        case .sharedGate: "ffn_gate_shexp"
        case .sharedUp: "ffn_up_shexp"
        case .sharedDown: "ffn_down_shexp"
        case .sharedRouter: "ffn_gate_inp_shexp"
        }
    }
}

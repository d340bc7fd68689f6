// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletTesting

/// Llama of a few kilobytes with seeded weights, as a Hugging Face folder or a GGUF file.
struct TinyDecoder {
    var layers = 2
    var hidden = 32
    var vocabulary = 50
    var without: Set<String> = []

    func write(to folder: TestFolder) throws {
        try folder.write("config.json", config())
        try folder.write("model.safetensors", weights())
    }

    func config(_ extra: String = "") -> String {
        """
        {"model_type":"llama","hidden_size":\(hidden),"num_hidden_layers":\(layers),
        "num_attention_heads":2,"num_key_value_heads":1,"intermediate_size":48,
        "vocab_size":\(vocabulary),"max_position_embeddings":128,"rms_norm_eps":1e-5,
        \(extra)"rope_theta":10000.0,"tie_word_embeddings":false,"hidden_act":"silu"}
        """
    }

    /// Names and dimensions, by Hugging Face's and by GGUF's names.
    private var shapes: [(name: String, gguf: String, dimensions: [Int])] {
        var all: [(String, String, [Int])] = [
            ("model.embed_tokens", "token_embd", [vocabulary, hidden]),
            ("model.norm", "output_norm", [hidden]), ("lm_head", "output", [vocabulary, hidden]),
        ]
        for layer in 0..<layers {
            let (name, gguf) = ("model.layers.\(layer).", "blk.\(layer).")
            all += [
                (name + "input_layernorm", gguf + "attn_norm", [hidden]),
                (name + "self_attn.q_proj", gguf + "attn_q", [hidden, hidden]),
                (name + "self_attn.k_proj", gguf + "attn_k", [hidden / 2, hidden]),
                (name + "self_attn.v_proj", gguf + "attn_v", [hidden / 2, hidden]),
                (name + "self_attn.o_proj", gguf + "attn_output", [hidden, hidden]),
                (name + "post_attention_layernorm", gguf + "ffn_norm", [hidden]),
                (name + "mlp.gate_proj", gguf + "ffn_gate", [48, hidden]),
                (name + "mlp.up_proj", gguf + "ffn_up", [48, hidden]),
                (name + "mlp.down_proj", gguf + "ffn_down", [hidden, 48]),
            ]
        }
        return all.map { ($0.0 + ".weight", $0.1 + ".weight", $0.2) }
    }

    private func values(_ dimensions: [Int], _ random: inout SeededRandom) -> [Float] {
        (0..<dimensions.reduce(1, *)).map { _ in Float.random(in: -0.5...0.5, using: &random) }
    }

    func weights() -> [UInt8] {
        var file = SafetensorsBytes()
        var random = SeededRandom(seed: 17)
        for shape in shapes {
            let values = values(shape.dimensions, &random)
            if !without.contains(shape.name) { file.add(shape.name, shape.dimensions, values) }
        }
        return file.bytes
    }

    /// The same weights in F32.
    func gguf() -> [UInt8] {
        var random = SeededRandom(seed: 17)
        var header = Array("GGUF".utf8)
        func put(_ value: some FixedWidthInteger, _ bytes: inout [UInt8]) {
            unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
        }
        func put(_ text: String, _ bytes: inout [UInt8]) {
            put(UInt64(text.utf8.count), &bytes)
            bytes += Array(text.utf8)
        }
        let sizes: [(String, Int)] = [
            ("embedding_length", hidden), ("block_count", layers), ("attention.head_count", 2),
            ("attention.head_count_kv", 1), ("feed_forward_length", 48), ("context_length", 128),
        ]
        put(UInt32(3), &header)
        put(UInt64(shapes.count), &header)
        put(UInt64(sizes.count + 2), &header)
        put("general.architecture", &header)
        put(UInt32(8), &header)
        put("llama", &header)
        put("llama.attention.layer_norm_rms_epsilon", &header)
        put(UInt32(6), &header)
        put(Float(1e-5).bitPattern, &header)
        for (name, value) in sizes {
            put("llama." + name, &header)
            put(UInt32(4), &header)
            put(UInt32(value), &header)
        }
        var data: [UInt8] = []
        for shape in shapes {
            put(shape.gguf, &header)
            put(UInt32(shape.dimensions.count), &header)
            for dimension in shape.dimensions.reversed() { put(UInt64(dimension), &header) }
            put(UInt32(0), &header)
            put(UInt64(data.count), &header)
            for value in values(shape.dimensions, &random) { put(value.bitPattern, &data) }
            while data.count % 32 != 0 { data.append(0) }
        }
        while header.count % 32 != 0 { header.append(0) }
        return header + data
    }
}

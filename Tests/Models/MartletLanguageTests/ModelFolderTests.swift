// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGraph
internal import MartletLanguage
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite("Model folders")
struct ModelFolderTests {
    private func outputs(_ encoder: TinyEncoder, in folder: TestFolder) throws -> [String: String] {
        try encoder.write(to: folder)
        let graph = try ModelFolder(path: folder.path).makeGraph()
        let shapes = graph.inputs.map { _ in [3, 5] as Shape }
        let types = try ShapeInference(graph).run(inputShapes: shapes)
        return Dictionary(
            uniqueKeysWithValues: graph.outputs.map { output in
                (graph.name(of: output), types.shape(of: output)?.description ?? "unknown")
            })
    }

    @Test("Each family becomes a graph of the right shape, whatever its weights' prefix")
    func families() throws {
        for family in [TinyEncoder.Family.bert, .roberta, .distilbert] {
            for prefix in ["", family.rawValue + "."] {
                let folder = try TestFolder()
                let found = try outputs(TinyEncoder(family: family, prefix: prefix), in: folder)
                #expect(
                    found == ["last_hidden_state": "[3, 5, 8]", "sentence_embedding": "[3, 8]"])
            }
        }
    }

    @Test("Classifiers answer logits")
    func classifiers() throws {
        for family in [TinyEncoder.Family.bert, .roberta, .distilbert] {
            let folder = try TestFolder()
            let encoder = TinyEncoder(family: family, prefix: family.rawValue + ".", labels: 3)
            #expect(try outputs(encoder, in: folder) == ["logits": "[3, 3]"])
            let configuration = try ModelFolder(path: folder.path).configuration
            #expect(configuration.labels == ["label-0", "label-1", "label-2"])
        }
    }

    @Test("Old names of layer norms are found")
    func oldNames() throws {
        let folder = try TestFolder()
        #expect(try outputs(TinyEncoder(prefix: "bert.", usesGamma: true), in: folder).count == 2)
    }

    @Test("Every missing weight is listed at once")
    func missingWeights() throws {
        let folder = try TestFolder()
        let names: Set = ["embeddings.LayerNorm.weight", "encoder.layer.0.output.dense.bias"]
        try TinyEncoder(without: names).write(to: folder)
        let error = try #require(throws: LanguageError.self) {
            try ModelFolder(path: folder.path).makeGraph()
        }
        for name in names { #expect(error.message.contains("'\(name)'"), "\(error)") }
        #expect(error.message.contains("2 weights"))
    }

    @Test("Weights of another size than the configuration's are named with both")
    func misshapenWeights() throws {
        let folder = try TestFolder()
        let encoder = TinyEncoder()
        try encoder.write(to: folder)
        let config = encoder.config().split(separator: "20").joined(separator: "24")
        try folder.write("config.json", config)
        let error = try #require(throws: LanguageError.self) {
            try ModelFolder(path: folder.path).makeGraph()
        }
        #expect(error.message.contains("expected [24, 8], found [20, 8]"), "\(error)")
    }

    @Test(
        "Configurations that cannot be right are refused with the field's name",
        arguments: [
            (#""hidden_size":7,"#, "multiple"), (#""num_hidden_layers":0,"#, "num_hidden_layers"),
            (#""hidden_size":"8","#, "hidden_size"), (#""vocab_size":-1,"#, "vocab_size"),
            (#""model_type":"gpt2","#, "gpt2"), (#""model_type":7,"#, "model_type"),
            (#""max_position_embeddings":99999999999999,"#, "max_position_embeddings"),
            (#""layer_norm_eps":-1,"#, "layer_norm_eps"), (#""is_decoder":true,"#, "is_decoder"),
            (#""position_embedding_type":"relative_key","#, "relative_key"),
            (#""num_attention_heads":1e30,"#, "num_attention_heads"),
        ])
    func badConfigurations(extra: String, expected: String) throws {
        let folder = try TestFolder()
        let encoder = TinyEncoder()
        try encoder.write(to: folder)
        try folder.write("config.json", encoder.config(extra))
        let error = try #require(throws: LanguageError.self) { try ModelFolder(path: folder.path) }
        #expect(error.message.contains(expected), "\(error)")
    }

    @Test("Missing files are named")
    func missingFiles() throws {
        let folder = try TestFolder()
        #expect(throws: LanguageError.self) { try ModelFolder(path: folder.path) }
        try TinyEncoder().write(to: folder)
        folder.remove("tokenizer.json")
        folder.remove("model.safetensors")
        try folder.write("pytorch_model.bin", "x")
        let error = try #require(throws: LanguageError.self) { try ModelFolder(path: folder.path) }
        #expect(error.code == .missingFile)
        #expect(error.message.contains("tokenizer.json and model.safetensors"), "\(error)")
        #expect(error.message.contains("pytorch_model.bin"), "\(error)")
    }

    @Test("Damaged weights and configurations give errors at every length")
    func truncation() throws {
        let folder = try TestFolder()
        let encoder = TinyEncoder()
        try encoder.write(to: folder)
        let weights = encoder.weights()
        for count in stride(from: 1, to: weights.count - 1, by: 401) {
            try folder.write("model.safetensors", Array(weights.prefix(count)))
            #expect(throws: LanguageError.self) { try ModelFolder(path: folder.path).makeGraph() }
        }
        let config = Array(encoder.config().utf8)
        for count in stride(from: 0, to: config.count - 1, by: 13) {
            try folder.write("config.json", Array(config.prefix(count)))
            #expect(throws: LanguageError.self) { try ModelFolder(path: folder.path) }
        }
    }

    @Test("modules.json says how sentences are made")
    func sentenceModules() throws {
        let folder = try TestFolder()
        try TinyEncoder().write(to: folder)
        func modules(_ types: String...) throws {
            let entries = types.enumerated().map { index, type in
                #"{"idx":\#(index),"path":"\#(index == 0 ? "" : "\(index)_\(type)")","type":"st.models.\#(type)"}"#
            }
            try folder.write("modules.json", "[\(entries.joined(separator: ","))]")
        }
        try modules("Transformer", "Pooling", "Normalize")
        try folder.write(
            "1_Pooling/config.json",
            #"{"word_embedding_dimension":8,"pooling_mode_cls_token":true}"#)
        let found = try ModelFolder(path: folder.path).sentenceModules
        #expect(found?.pooling == .firstToken)
        #expect(found?.steps == [.normalize])
        try folder.write(
            "1_Pooling/config.json",
            #"{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true}"#)
        #expect(throws: LanguageError.self) { try ModelFolder(path: folder.path) }
        try folder.write(
            "1_Pooling/config.json",
            #"{"word_embedding_dimension":9,"pooling_mode_mean_tokens":true}"#)
        #expect(throws: LanguageError.self) { try ModelFolder(path: folder.path) }
        try modules("Transformer", "WordWeights")
        #expect(throws: LanguageError.self) { try ModelFolder(path: folder.path) }
        try folder.write("modules.json", #"[{"type":"a.Transformer","path":"../../etc"}]"#)
        #expect(throws: LanguageError.self) { try ModelFolder(path: folder.path) }
    }

    @Test("A tokenizer with more tokens than the model is refused")
    func tokenizerTooLarge() throws {
        let folder = try TestFolder()
        try TinyEncoder().write(to: folder)
        let text = TinyEncoder.tokenizer.split(separator: #""added_tokens":[]"#)
            .joined(separator: #""added_tokens":[{"id":8,"content":"more"}]"#)
        try folder.write("tokenizer.json", text)
        #expect(throws: LanguageError.self) { try ModelFolder(path: folder.path).loadTokenizer() }
    }
}

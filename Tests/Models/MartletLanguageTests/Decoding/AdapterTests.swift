// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("Low-rank adapters")
struct AdapterTests {
    /// An adapter of `TinyDecoder`'s shape over some of its products.
    private static func adapter(
        seed: UInt64, rank: Int = 4, settings: String = "", scale: Float = 0.5
    ) throws -> TestFolder {
        let folder = try TestFolder()
        try folder.write(
            "adapter_config.json",
            "{\"peft_type\":\"LORA\",\"r\":\(rank),\"lora_alpha\":\(rank * 2)\(settings)}")
        var file = SafetensorsBytes()
        var random = SeededRandom(seed: seed)
        let modules = [
            ("self_attn.q_proj", 32, 32), ("self_attn.v_proj", 32, 16),
            ("self_attn.o_proj", 32, 32), ("mlp.gate_proj", 32, 48), ("mlp.up_proj", 32, 48),
            ("mlp.down_proj", 48, 32),
        ]
        for layer in 0..<2 {
            for (name, inputs, outputs) in modules {
                let full = "base_model.model.model.layers.\(layer).\(name)"
                func values(_ count: Int) -> [Float] {
                    (0..<count).map { _ in Float.random(in: -scale...scale, using: &random) }
                }
                file.add(full + ".lora_A.weight", [rank, inputs], values(rank * inputs))
                file.add(full + ".lora_B.weight", [outputs, rank], values(rank * outputs))
            }
        }
        try folder.write("adapter_model.safetensors", file.bytes)
        return folder
    }

    private static func core(_ options: DecoderOptions) throws -> GenerationCore {
        let folder = try TestFolder()
        try TinyDecoder().write(to: folder)
        return GenerationCore(
            runner: try DecoderModel(path: folder.path).load(options),
            tokenizer: try TinyTokenizer.make(), endTokens: [], drafts: false)
    }

    private static func ask(
        _ core: GenerationCore, _ adapters: [String], count: Int = 20
    ) throws -> [[Int32]] {
        let time = ManualTime()
        let hearings = try adapters.map { adapter in
            var options = GenerationOptions()
            options.tokensMax = count
            options.sampling.temperature = 0
            options.adapter = adapter
            let hearing = Hearing()
            _ = try core.submit(
                PreparedGeneration(
                    tokens: (0..<18).map { Int32($0 * 5 % 50) }, options: options,
                    receive: hearing.receive), now: time.now())
            return hearing
        }
        while core.step(time: time) {}
        return hearings.map { $0.tokens() }
    }

    @Test("answer in company what each answers alone")
    func company() throws {
        var options = DecoderOptions()
        options.adaptersMax = 3
        options.adapterByteCountMax = 1 << 20
        let configuration = try configuration()
        let folders = try (1...3).map { try Self.adapter(seed: UInt64($0), rank: 2 * $0) }
        let alone = try (0...3).map { number -> [Int32] in
            let core = try Self.core(options)
            if number > 0 {
                try core.loadAdapter(
                    "a",
                    AdapterFile(
                        folder: folders[number - 1].path, configuration: configuration))
            }
            return try Self.ask(core, [number > 0 ? "a" : ""])[0]
        }
        #expect(Set(alone).count == 4)
        let core = try Self.core(options)
        for number in 1...3 {
            try core.loadAdapter(
                "a\(number)",
                AdapterFile(folder: folders[number - 1].path, configuration: configuration))
        }
        let names = ["a2", "", "a1", "a3", "a2", ""]
        // Twice: the second time with what the cache keeps for each adapter.
        for _ in 0..<2 {
            #expect(
                try Self.ask(core, names)
                    == [alone[2], alone[0], alone[1], alone[3], alone[2], alone[0]])
        }
        // Without a place for adapters, the model is the same.
        #expect(try Self.ask(try Self.core(DecoderOptions()), [""])[0] == alone[0])
    }

    @Test("come and go, and make room")
    func turnover() throws {
        var options = DecoderOptions()
        options.adaptersMax = 2
        options.adapterByteCountMax = 1 << 16
        let configuration = try configuration()
        let core = try Self.core(options)
        let (small, wide) = (try Self.adapter(seed: 1), try Self.adapter(seed: 1, rank: 64))
        let file = try AdapterFile(folder: small.path, configuration: configuration)
        for _ in 0..<40 {
            try core.loadAdapter("one", file)
            #expect(try Self.ask(core, ["one"], count: 2)[0].count == 2)
            #expect(core.unloadAdapter("one"))
        }
        #expect(!core.unloadAdapter("one"))
        #expect(throws: LanguageError.self) { try Self.ask(core, ["one"]) }
        try core.loadAdapter("one", file)
        try core.loadAdapter("two", file)
        #expect(throws: LanguageError.self) { try core.loadAdapter("three", file) }
        let large = try AdapterFile(folder: wide.path, configuration: configuration)
        #expect(core.unloadAdapter("two"))
        #expect(throws: LanguageError.self) { try core.loadAdapter("two", large) }
        #expect(throws: LanguageError.self) { try Self.core(.init()).loadAdapter("one", file) }
    }

    private func configuration() throws -> DecoderConfiguration {
        let folder = try TestFolder()
        try TinyDecoder().write(to: folder)
        return try DecoderModel(path: folder.path).configuration
    }

    @Test(
        "refuses what it does not compute",
        arguments: [
            ",\"use_dora\":true", ",\"bias\":\"all\"", ",\"modules_to_save\":[\"lm_head\"]",
            ",\"peft_type\":\"IA3\"", ",\"layer_replication\":[[0,1]]",
        ])
    func refusals(settings: String) throws {
        let folder = try Self.adapter(seed: 1, settings: settings)
        let configuration = try configuration()
        #expect(throws: LanguageError.self) {
            try AdapterFile(folder: folder.path, configuration: configuration)
        }
    }

    @Test("refuses tensors that fit no product")
    func shapes() throws {
        let configuration = try configuration()
        for (name, dimensions) in [
            ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", [4, 31]),
            ("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", [4, 32]),
            ("base_model.model.lm_head.lora_A.weight", [4, 32]), ("nonsense", [1]),
        ] {
            let folder = try TestFolder()
            try folder.write("adapter_config.json", "{\"r\":4}")
            var file = SafetensorsBytes()
            file.add(name, dimensions, Array(repeating: 1, count: dimensions.reduce(1, *)))
            try folder.write("adapter_model.safetensors", file.bytes)
            #expect(throws: LanguageError.self, "\(name)") {
                try AdapterFile(folder: folder.path, configuration: configuration)
            }
        }
    }
}

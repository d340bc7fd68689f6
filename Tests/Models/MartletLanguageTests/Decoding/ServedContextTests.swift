// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("Contexts served")
struct ServedContextTests {
    private static let factors =
        #""original_max_position_embeddings":64,"rope_scaling":{"rope_type":"longrope","#
        + #""short_factor":[2,2,2,2,2,2,2,2],"long_factor":[4,4,4,4,4,4,4,4]},"#

    @Test("positions turn by short factors where no longer context is served than was trained on")
    func longRoPE() throws {
        let folder = try TestFolder()
        try TinyDecoder().write(to: folder)
        try folder.write("config.json", TinyDecoder().config(Self.factors))
        for (served, factor) in [(nil, 4), (128, 4), (65, 4), (64, 2), (20, 2), (9999, 4)] {
            var options = DecoderOptions()
            options.contextLength = served
            let model = try DecoderModel(path: folder.path, options: options)
            #expect(model.configuration.rotary.frequencies[0] == 1 / Float(factor))
            #expect(model.configuration.servedLength == min(served ?? 128, 128))
            // What scores are scaled by follows from the model's own lengths.
            #expect(model.configuration.rotary.factor > 1)
        }
    }

    @Test("a cache that holds less than the context says so")
    func smallCache() throws {
        let folder = try TestFolder()
        try TinyDecoder().write(to: folder)
        var options = DecoderOptions(contextLength: 100, threads: 1)
        let model = try DecoderModel(path: folder.path)
        let whole = try model.load(options).shape
        #expect(whole.contextLength == 100 && !whole.isCacheSmall)
        // Two layers' keys and values of one head of 16 halves.
        options.cacheByteCountMax = 2 * 2 * 2 * 16 * 16 * 2
        let small = try model.load(options).shape
        #expect(small.contextLength == 32 && small.isCacheSmall)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletLanguage
internal import MartletStorage
internal import MartletTesting
internal import Testing

@Suite("Decoders' packed weights between processes")
struct KeptWeightsTests {
    private func logits(_ path: String, _ options: DecoderOptions) throws -> (
        values: [Float], session: NativeSession
    ) {
        let runner = try DecoderModel(path: path).load(options)
        var values: [Float] = []
        _ = try GreedyDecoding(runner: runner, chunk: 64).run(
            (0..<37).map { $0 * 7 % 50 }, count: 3
        ) { values += $0 }
        return (values, try #require(runner.session as? NativeSession))
    }

    @Test("folders and GGUF files answer to the bit as without", arguments: [false, true])
    func same(isGGUF: Bool) throws {
        let folder = try TestFolder()
        try TinyDecoder().write(to: folder)
        try folder.write("m.gguf", TinyDecoder().gguf())
        let path = isGGUF ? PathName.join(folder.path, "m.gguf") : folder.path
        let plain = try logits(path, DecoderOptions())
        #expect(plain.session.storedByteCount == 0)
        var options = DecoderOptions()
        options.planCache = PlanCacheOptions(folder: PathName.join(folder.path, "cache"))
        for _ in 0..<2 {
            let kept = try logits(path, options)
            #expect(kept.values.map(\.bitPattern) == plain.values.map(\.bitPattern))
            #expect(kept.session.storedByteCount > 0)
            #expect(kept.session.storedByteCount == kept.session.packedByteCount)
        }
        // Neither the cache's type nor places for adapters change what is packed.
        options.cacheType = .float32
        options.adaptersMax = 2
        #expect(try logits(path, options).session.storedByteCount > 0)
        #expect(try FileSystem.list(PathName.join(folder.path, "cache")).count == 1)
        options.precision = .int8
        _ = try logits(path, options)
        #expect(try FileSystem.list(PathName.join(folder.path, "cache")).count == 2)
    }
}

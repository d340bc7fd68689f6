// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletLanguage
internal import MartletTesting
internal import Testing

@Suite("Model folder fuzz")
struct ModelFolderFuzzTests {
    @Test("no config.json crashes the reader or the builder of graphs")
    func configurations() throws {
        let folder = try TestFolder()
        let encoder = TinyEncoder(labels: 2)
        try encoder.write(to: folder)
        fuzz("config.json", seeds: [Array(encoder.config().utf8)], sizeMax: 4_096) { bytes in
            try folder.write("config.json", bytes)
            let model = try ModelFolder(path: folder.path)
            _ = try model.loadTokenizer()
            _ = try model.makeGraph()
        }
    }
}

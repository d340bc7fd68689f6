// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletJSON
internal import MartletStorage

/// Writes a decoder's Hugging Face folder as one GGUF file, weights rounded to a type, that Martlet
/// and llama.cpp read. Cost: one pass over the weights, a row at a time in memory.
package struct GGUFExport {
    /// What was written.
    package struct Summary: Sendable {
        package var tensorCount = 0
        package var byteCount = 0
        /// Tensors by the type they got.
        package var types: [String: Int] = [:]
        /// Matrices whose rows are no whole blocks of the wanted type, and got another.
        package var unfitting = 0
    }

    private let folder: String
    private let configuration: DecoderConfiguration
    private let source: DecoderWeights
    private let model: SafetensorsModel
    private let wanted: String
    private let architecture: String

    /// The families that can be written, by GGUF's names.
    private static let architectures = [
        "llama": "llama", "mistral": "llama", "smollm": "llama", "qwen2": "qwen2",
        "qwen3": "qwen3",
    ]

    /// - Throws: `LanguageError` for a folder or type that cannot be written.
    package init(folder: String, type: String) throws(LanguageError) {
        guard BlockQuantizer.types.contains(type) else {
            throw LanguageError(
                .invalidInput,
                "type '\(type)': expected one of \(BlockQuantizer.types.joined(separator: ", "))")
        }
        let file = try ConfigFile(path: PathName.join(folder, "config.json"))
        configuration = try DecoderConfiguration(file)
        guard let architecture = GGUFExport.architectures[configuration.family] else {
            throw LanguageError(
                .unsupported,
                "\(folder): models of the family '\(configuration.family)' cannot be written as "
                    + "GGUF; \(GGUFExport.architectures.keys.sorted().joined(separator: ", ")) can")
        }
        guard configuration.rotary.factor == 1 else {
            throw LanguageError(
                .unsupported, "\(folder): this rule of stretched positions cannot be written")
        }
        do {
            model = try SafetensorsModel(path: folder)
        } catch {
            throw LanguageError(.invalidFile, "\(folder): \(error)", cause: error)
        }
        self.folder = folder
        self.architecture = architecture
        wanted = type
        source = DecoderWeights(.safetensors(model), path: folder)
    }

    private struct Entry {
        var name: String
        var stored: StoredTensor
        var type: String
        var isUnfitting: Bool
        /// Heads whose halves are interleaved, as llama.cpp stores Llama's queries and keys.
        var heads = 0
    }

    /// Writes the file, whole or not at all.
    package func write(to path: String) throws -> Summary {
        var writer = GGUFWriter()
        addConfiguration(&writer)
        try GGUFTokenizerExport(folder: folder, vocabularySize: configuration.vocabularySize)
            .add(to: &writer)
        let entries = try entries()
        var summary = Summary()
        for entry in entries {
            guard let type = GGUFExport.types[entry.type],
                writer.addTensor(entry.name, type: type, dimensions: entry.stored.dimensions)
                    != nil
            else { throw LanguageError(.internal, "'\(entry.name)': no type fits") }
            summary.types[entry.type, default: 0] += 1
            if entry.isUnfitting { summary.unfitting += 1 }
        }
        let factors = rotaryFactors()
        if let factors {
            _ = writer.addTensor(
                "rope_freqs.weight", type: .float32, dimensions: [factors.count])
        }
        var file = try FileReplacement(path: path, isPrivate: false)
        func append(_ bytes: [UInt8]) throws {
            try unsafe bytes.withUnsafeBytes { try unsafe file.append($0) }
        }
        try append(writer.header)
        for entry in entries {
            try rows(entry) { try append($0) }
            try file.pad(to: GGUFWriter.alignment)
        }
        if let factors {
            var bytes: [UInt8] = []
            BlockQuantizer.append(factors.span, type: "F32", to: &bytes)
            try append(bytes)
            try file.pad(to: GGUFWriter.alignment)
        }
        try file.commit()
        summary.tensorCount = entries.count
        summary.byteCount = file.byteCount
        return summary
    }

    private static let types = Dictionary(
        uniqueKeysWithValues: GGUFType.allCases.map { ($0.name, $0) })

    // MARK: Metadata

    private func addConfiguration(_ writer: inout GGUFWriter) {
        let shape = configuration
        func key(_ name: String) -> String { "\(architecture).\(name)" }
        writer.add("general.architecture", architecture)
        writer.add("general.name", PathName.baseName(folder))
        writer.add("general.quantization_version", 2)
        writer.add("general.file_type", GGUFExport.fileTypes[wanted] ?? 0)
        writer.add(key("block_count"), shape.layerCount)
        writer.add(key("context_length"), shape.contextLength)
        writer.add(key("embedding_length"), shape.hiddenSize)
        writer.add(key("feed_forward_length"), shape.intermediateSize)
        writer.add(key("attention.head_count"), shape.headCount)
        writer.add(key("attention.head_count_kv"), shape.keyValueHeadCount)
        writer.add(key("attention.key_length"), shape.headSize)
        writer.add(key("attention.value_length"), shape.headSize)
        writer.add(key("attention.layer_norm_rms_epsilon"), shape.normEpsilon)
        writer.add(key("rope.dimension_count"), shape.rotary.frequencies.count * 2)
        writer.add(key("rope.freq_base"), Float(rotaryBase))
        writer.add(key("vocab_size"), shape.vocabularySize)
    }

    /// llama.cpp's numbers for what most of a file is.
    private static let fileTypes = [
        "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K": 14,
        "Q5_K": 16, "Q6_K": 18, "BF16": 32,
    ]

    private var rotaryBase: Double {
        let file = try? ConfigFile(path: PathName.join(folder, "config.json"))
        let inner = file?.object["rope_parameters"]?["rope_theta"]?.doubleValue
        return inner ?? file?.object["rope_theta"]?.doubleValue ?? 10_000
    }

    /// By how much positions are stretched, a number a pair; nil where they are not.
    private func rotaryFactors() -> [Float]? {
        var plain = RotaryScaling(width: configuration.rotary.frequencies.count * 2)
        plain.base = rotaryBase
        let factors = zip(plain.rotary().frequencies, configuration.rotary.frequencies)
            .map { $0 / $1 }
        return factors.allSatisfy { abs($0 - 1) < 1e-6 } ? nil : factors
    }

    // MARK: Weights

    private func entries() throws -> [Entry] {
        let shape = configuration
        var weights = source
        var entries: [Entry] = []
        func add(_ part: DecoderPart, _ layer: Int?, _ dimensions: [Int], heads: Int = 0) {
            for suffix in ["weight", "bias"] {
                let isBias = suffix == "bias"
                if isBias, weights.find(part, layer: layer, suffix: suffix) == nil { continue }
                let found = weights.take(
                    part, layer: layer, suffix: suffix, isBias ? [dimensions[0]] : dimensions)
                guard let found else { continue }
                let name = (layer.map { "blk.\($0)." } ?? "") + part.ggufName + "." + suffix
                let choice = type(part, found.dimensions)
                entries.append(
                    Entry(
                        name: name, stored: found, type: choice.name,
                        isUnfitting: choice.isUnfitting,
                        heads: architecture == "llama" ? heads : 0))
            }
        }
        let (hidden, inner) = (shape.hiddenSize, shape.intermediateSize)
        add(.embedding, nil, [shape.vocabularySize, hidden])
        for layer in 0..<shape.layerCount {
            add(.attentionNorm, layer, [hidden])
            add(.query, layer, [shape.queryWidth, hidden], heads: shape.headCount)
            add(.key, layer, [shape.keyValueWidth, hidden], heads: shape.keyValueHeadCount)
            add(.value, layer, [shape.keyValueWidth, hidden])
            if shape.hasHeadNorms {
                add(.queryNorm, layer, [shape.headSize])
                add(.keyNorm, layer, [shape.headSize])
            }
            add(.attentionOutput, layer, [hidden, shape.queryWidth])
            add(.secondNorm, layer, [hidden])
            add(.gate, layer, [inner, hidden])
            add(.up, layer, [inner, hidden])
            add(.down, layer, [hidden, inner])
        }
        add(.finalNorm, nil, [hidden])
        if !shape.tiesEmbeddings, weights.find(.head) != nil {
            add(.head, nil, [shape.vocabularySize, hidden])
        }
        try weights.check()
        return entries
    }

    /// The wanted type where rows are whole blocks of it; vectors stay as they are, and the table
    /// and the head of a 4-bit file get more bits.
    private func type(
        _ part: DecoderPart, _ dimensions: [Int]
    ) -> (name: String, isUnfitting: Bool) {
        guard dimensions.count == 2 else { return ("F32", false) }
        var type = wanted
        let isEnd = part == .embedding || part == .head
        if isEnd, type.hasPrefix("Q4") || type.hasPrefix("Q5") { type = "Q6_K" }
        let chosen = type
        if type.hasSuffix("_K"), dimensions[1] % 256 != 0 { type = "Q8_0" }
        if type.hasPrefix("Q"), dimensions[1] % 32 != 0 { type = "F16" }
        return (type, type != chosen)
    }

    /// Hands out an entry's bytes, a row at a time.
    private func rows(_ entry: Entry, _ body: ([UInt8]) throws -> Void) throws {
        let floats = try entry.stored.floats()
        let width = entry.stored.dimensions.last ?? 1
        let count = entry.stored.dimensions.count == 2 ? entry.stored.dimensions[0] : 1
        let size = entry.stored.dimensions.count == 2 ? width : floats.count
        guard floats.allSatisfy(\.isFinite) else {
            throw LanguageError(.invalidFile, "\(folder): '\(entry.stored.name)' is not finite")
        }
        var bytes: [UInt8] = []
        // Vectors that belong to turned rows are turned with them.
        if entry.heads > 0, entry.stored.dimensions.count == 1 {
            let turned = (0..<floats.count).map { floats[interleaved($0, entry, floats.count)] }
            BlockQuantizer.append(turned.span, type: entry.type, to: &bytes)
            return try body(bytes)
        }
        for row in 0..<count {
            let from = entry.heads > 0 ? interleaved(row, entry, count) : row
            bytes.removeAll(keepingCapacity: true)
            BlockQuantizer.append(
                floats.span.extracting(from * size..<(from + 1) * size), type: entry.type,
                to: &bytes)
            try body(bytes)
        }
    }

    /// Which row of the source becomes this one: a head's halves go pair by pair.
    private func interleaved(_ row: Int, _ entry: Entry, _ count: Int) -> Int {
        let size = count / entry.heads
        let (head, place) = (row / size, row % size)
        return head * size + place % 2 * (size / 2) + place / 2
    }
}

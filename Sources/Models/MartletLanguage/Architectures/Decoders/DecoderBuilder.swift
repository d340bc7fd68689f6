// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

/// Builds a decoder's graph from its configuration and weights: rows of tokens in, logits of the
/// wanted rows out, keys and values in a cache that the caller owns.
///
/// Inputs: `tokens`, `positions` and `slots` INT32 [rows], `slices` INT32 [slices, 4], `blocks`
/// INT32 [blocks], `logit_rows` INT32 [wanted], `extents` INT32 [4] (how many of each there are)
/// and `cache` UINT8 [layers, 2, cache blocks, bytes]; where adapters may be loaded also
/// `row_adapters` INT32 [rows] and `adapters` UINT8 [bytes]. Output: `logits` [wanted, vocabulary].
struct DecoderBuilder {
    var graph: Graph
    var weights: DecoderWeights
    let configuration: DecoderConfiguration
    let options: DecoderOptions
    private(set) var inputs: Inputs
    /// Rows already prepared, by value, source and kind: products that read the same share them.
    private var prepared: [PreparedKey: ValueID] = [:]
    private var angles: [DecoderConfiguration.Rotary: ValueID] = [:]

    struct Inputs {
        var tokens, positions, slots, slices, blocks, logitRows, extents, cache: ValueID
        var adapters: (rows: ValueID, slab: ValueID)?
    }

    private struct PreparedKey: Hashable {
        var value: ValueID
        var weight: ValueID?
        var source: String
        var kind: String
    }

    /// Values on their way into products, and what is done to them on the way.
    struct Activation {
        var value: ValueID
        var width: Int
        /// "" or one of `PrepareRows`' sources.
        var source = ""
        var weight: ValueID?
        /// Which of the extents counts the rows.
        var extent = 0
    }

    init(
        name: String, configuration: DecoderConfiguration, weights: DecoderWeights,
        options: DecoderOptions
    ) {
        var graph = Graph(name: name)
        self.configuration = configuration
        self.weights = weights
        self.options = options
        func input(_ name: String, _ type: ElementType, _ dimensions: [Dimension]) -> ValueID {
            graph.addInput(name: name, type: ValueType(elementType: type, dimensions: dimensions))
        }
        let rows = Dimension(symbol: "rows")
        inputs = Inputs(
            tokens: input("tokens", .int32, [rows]), positions: input("positions", .int32, [rows]),
            slots: input("slots", .int32, [rows]),
            slices: input("slices", .int32, [Dimension(symbol: "slices"), 4]),
            blocks: input("blocks", .int32, [Dimension(symbol: "blocks")]),
            logitRows: input("logit_rows", .int32, [Dimension(symbol: "wanted")]),
            extents: input("extents", .int32, [4]),
            cache: input(
                "cache", .uint8,
                [
                    Dimension(configuration.layerCount), 2, Dimension(symbol: "cache_blocks"),
                    Dimension(options.blockByteCount(configuration)),
                ]))
        if options.adaptersMax > 0 {
            inputs.adapters = (
                input("row_adapters", .int32, [rows]),
                input("adapters", .uint8, [Dimension(symbol: "adapter_bytes")])
            )
        }
        self.graph = graph
    }

    /// - Throws: `LanguageError` with everything that is wrong with the weights.
    mutating func build() throws(LanguageError) -> Graph {
        var hidden = embedding()
        for layer in 0..<configuration.layerCount { hidden = self.layer(hidden, layer) }
        let wanted = graph.apply(
            .takeRows, hidden, inputs.logitRows, inputs.extents, name: "wanted_rows")
        let last = normed(wanted, .finalNorm, layer: nil, extent: 3)
        let logits = head(last)
        try weights.check()
        let output = graph.addValue(name: "logits")
        graph.addNode(.identity, name: "logits.output", inputs: [logits], outputs: [output])
        graph.outputs.append(output)
        let faults = graph.verify()
        guard faults.isEmpty else {
            throw LanguageError(
                .invalidFile,
                "\(weights.path): \(faults.prefix(5).map(\.description).joined(separator: "; "))")
        }
        return graph
    }

    // MARK: Ends

    private mutating func embedding() -> ValueID {
        let shape = [configuration.vocabularySize, configuration.hiddenSize]
        guard let table = weights.take(.embedding, shape) else { return hole("embeddings") }
        return graph.apply(
            .embedRows, inputs.tokens, matrix(table), inputs.extents, name: "embeddings",
            attributes: [
                "format": .string(table.format), "columns": .int(Int64(shape[1])),
                "scale": .float(configuration.embeddingScale),
            ])
    }

    private mutating func head(_ input: Activation) -> ValueID {
        let isTied = configuration.tiesEmbeddings || weights.find(.head) == nil
        let shape = [configuration.vocabularySize, configuration.hiddenSize]
        guard let found = weights.take(isTied ? .embedding : .head, shape) else {
            return hole("head")
        }
        return multiply(
            input, [found], name: "head", cap: configuration.logitSoftcap)
    }

    // MARK: Parts

    /// A norm that is done while its result is prepared for products.
    mutating func normed(
        _ value: ValueID, _ part: DecoderPart, layer: Int?, extent: Int = 0
    ) -> Activation {
        Activation(
            value: value, width: configuration.hiddenSize, source: "Norm",
            weight: normWeight(part, layer: layer, size: configuration.hiddenSize), extent: extent)
    }

    /// A norm's weight, with the offset that the family's files leave out.
    mutating func normWeight(_ part: DecoderPart, layer: Int?, size: Int) -> ValueID {
        guard let found = weights.take(part, layer: layer, [size]) else {
            return hole(part.rawValue)
        }
        let offset = weights.isGGUF ? 0 : configuration.normOffset
        return vector(found) { $0 + offset }
    }

    /// norm(value), added to the residual where there is one.
    mutating func addNormed(
        _ value: ValueID, _ part: DecoderPart, layer: Int, residual: ValueID?
    ) -> ValueID {
        let weight = normWeight(part, layer: layer, size: configuration.hiddenSize)
        return graph.apply(
            .normRows, value, weight, inputs.extents, residual,
            name: "layers.\(layer).\(part.ggufName)",
            attributes: ["epsilon": .float(configuration.normEpsilon)])
    }

    /// One product over several parts, stacked: their outputs side by side.
    mutating func linear(
        _ input: Activation, _ parts: [(part: DecoderPart, outputs: Int)], layer: Int,
        hasBias: Bool = false, residual: ValueID? = nil
    ) -> ValueID {
        var found: [StoredTensor] = []
        var bias: [Float] = []
        for (part, outputs) in parts {
            guard let weight = weights.take(part, layer: layer, [outputs, input.width]) else {
                continue
            }
            found.append(weight)
            guard hasBias else { continue }
            if let stored = weights.take(part, layer: layer, suffix: "bias", [outputs]) {
                bias += floats(stored)
            }
        }
        let name = "layers.\(layer).\(parts.map(\.part.ggufName).joined(separator: "+"))"
        guard found.count == parts.count else { return hole(name) }
        let product = multiply(
            input, found, name: name, bias: hasBias ? bias : nil, residual: residual)
        return adapted(product, input, parts, layer: layer)
    }

    /// What the rows' adapters add to a product, where adapters may be loaded.
    private mutating func adapted(
        _ product: ValueID, _ input: Activation,
        _ parts: [(part: DecoderPart, outputs: Int)], layer: Int
    ) -> ValueID {
        guard let adapters = inputs.adapters else { return product }
        var sum = product
        var offset = 0
        for (part, outputs) in parts {
            defer { offset += outputs }
            guard let module = AdapterModule.number(part, layer: layer) else { continue }
            sum = graph.apply(
                .adaptRows, sum, input.value, inputs.extents, adapters.rows, adapters.slab,
                input.weight, name: "layers.\(layer).\(part.ggufName).adapter",
                attributes: [
                    "source": .string(input.source), "inputs": .int(Int64(input.width)),
                    "outputs": .int(Int64(outputs)), "offset": .int(Int64(offset)),
                    "module": .int(Int64(module)),
                    "modules": .int(Int64(AdapterModule.count(configuration))),
                    "adapters": .int(Int64(options.adaptersMax)),
                    "epsilon": .float(configuration.normEpsilon),
                ])
        }
        return sum
    }

    /// Whether products over these parts can be one: the same panels, all but the last filled.
    func canMerge(_ parts: [(part: DecoderPart, outputs: Int)], layer: Int) -> Bool {
        let formats = parts.map { part, _ in weights.find(part, layer: layer)?.format }
        return Set(formats).count == 1
            && parts.dropLast().allSatisfy { $0.outputs % 16 == 0 }
    }

    private mutating func multiply(
        _ input: Activation, _ found: [StoredTensor], name: String, bias: [Float]? = nil,
        residual: ValueID? = nil, cap: Float = 0
    ) -> ValueID {
        let (panels, kind) = options.panels(found[0].format, inputs: input.width)
        let constants = found.map { matrix($0) }
        let biasValue = bias.flatMap { values in
            (try? Tensor(values)).map { graph.addConstant(name: name + ".bias", $0) }
        }
        let outputs = found.reduce(0) { $0 + $1.dimensions[0] }
        let output = graph.addValue(name: name + ".out")
        graph.addNode(
            .multiplyRows, name: name,
            inputs: [
                prepare(input, kind: kind), constants[0], inputs.extents, biasValue, residual,
            ] + constants.dropFirst().map { Optional($0) },
            outputs: [output],
            attributes: [
                "kind": .string(kind), "format": .string(found[0].format),
                "panels": .string(panels), "outputs": .int(Int64(outputs)),
                "inputs": .int(Int64(input.width)), "cap": .float(cap),
                "extent": .int(Int64(input.extent)),
            ])
        return output
    }

    private mutating func prepare(_ input: Activation, kind: String) -> ValueID {
        let key = PreparedKey(
            value: input.value, weight: input.weight, source: input.source, kind: kind)
        if let known = prepared[key] { return known }
        let made = graph.apply(
            .prepareRows, input.value, inputs.extents, input.weight,
            attributes: [
                "kind": .string(kind), "source": .string(input.source),
                "inputs": .int(Int64(input.width)), "epsilon": .float(configuration.normEpsilon),
                "extent": .int(Int64(input.extent)),
            ])
        prepared[key] = made
        return made
    }

    mutating func angles(_ rotary: DecoderConfiguration.Rotary) -> ValueID {
        if let known = angles[rotary] { return known }
        guard let tensor = try? Tensor(rotary.frequencies) else { return hole("angles") }
        let made = graph.apply(
            .rotaryAngles, inputs.positions,
            graph.addConstant(name: "frequencies_\(angles.count)", tensor), inputs.extents,
            attributes: ["factor": .float(rotary.factor)])
        angles[rotary] = made
        return made
    }

    // MARK: Constants

    mutating func matrix(_ stored: StoredTensor) -> ValueID {
        do {
            return graph.addConstant(name: stored.name, try stored.matrix())
        } catch {
            weights.note("'\(stored.name)': \(error)")
            return hole(stored.name)
        }
    }

    private mutating func vector(_ stored: StoredTensor, _ change: (Float) -> Float) -> ValueID {
        guard let tensor = try? Tensor(floats(stored).map(change)) else { return hole(stored.name) }
        return graph.addConstant(name: stored.name, tensor)
    }

    private mutating func floats(_ stored: StoredTensor) -> [Float] {
        do {
            return try stored.floats()
        } catch {
            weights.note("'\(stored.name)': \(error)")
            return []
        }
    }

    /// Stands for what is wrong with the weights and was noted.
    private mutating func hole(_ name: String) -> ValueID { graph.addValue(name: name) }
}

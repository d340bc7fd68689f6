// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletStorage
internal import MartletTensor

/// Where a tensor's bytes lie, as a stored plan says it.
enum StoredPlace: UInt8 {
    /// In one of the model's own files.
    case source = 0
    case spares = 1
    case data = 2
}

/// Writes a graph, and notes what bytes it needs in the data sections.
struct StoredGraphWriter {
    /// The model's files by path, in the order of the key.
    let sources: [String: Int]
    /// Constants that have packed forms.
    let packed: Set<ValueID>
    private(set) var output = StoredBytes()
    private(set) var spares = Pieces()
    private(set) var data = Pieces()

    /// Bytes that go into a section, each at a multiple of 64.
    struct Pieces {
        private(set) var items: [(tensor: Tensor?, storage: TensorStorage)] = []
        private(set) var offsets: [Int] = []
        private(set) var byteCount = 0

        mutating func add(_ storage: TensorStorage, tensor: Tensor?) -> Int {
            let offset = (byteCount + 63) / 64 * 64
            items.append((tensor, storage))
            offsets.append(offset)
            byteCount = offset + (tensor?.byteCount ?? storage.byteCount)
            return offset
        }
    }

    init(sources: [String: Int], packed: Set<ValueID>) {
        self.sources = sources
        self.packed = packed
    }

    // MARK: Parts of the graph section

    mutating func write(_ signature: ModelSignature) {
        for specs in [signature.inputs, signature.outputs] {
            output.list(specs) { output, spec in
                output.text(spec.name)
                output.fixed(spec.elementType.rawValue)
                output.list(spec.dimensions) { $0.int($1) }
                output.list(spec.dimensionNames) { output, name in
                    output.optional(name) { $0.text($1) }
                }
                output.fixed(spec.container.storedNumber)
                output.flag(spec.isRankKnown)
            }
        }
    }

    /// Packed forms: their constants, formats and places.
    mutating func write(_ weights: [PackedWeights.Form]) {
        output.count(weights.count)
        for form in weights {
            let offset = data.add(form.storage, tensor: nil)
            output.fixed(form.value.index)
            output.text(form.format)
            output.int(offset)
            output.int(form.storage.byteCount)
        }
    }

    mutating func write(_ graph: Graph, isRoot: Bool = true) {
        output.text(graph.name)
        output.list(0..<graph.valueCount) { output, index in
            output.text(graph.valueNames[index])
            output.type(graph.valueTypes[index])
        }
        output.list(graph.inputs) { $0.fixed($1.index) }
        output.list(graph.outputs) { $0.fixed($1.index) }
        output.list(graph.declaredOutputs) { $0.type($1) }
        let constants = graph.constants.sorted { $0.key < $1.key }
        output.count(constants.count)
        for (value, tensor) in constants {
            output.fixed(value.index)
            write(tensor, isSpare: isRoot && packed.contains(value))
        }
        let nodes = Array(graph.nodes)
        output.count(nodes.count)
        for node in nodes { write(node, of: graph) }
    }

    private mutating func write(_ node: NodeID, of graph: Graph) {
        let schema = graph.schema(of: node)
        output.text(schema.domain)
        output.text(schema.name)
        output.text(graph.name(of: node))
        output.list(graph.inputs(of: node)) { $0.fixed($1?.index ?? -1) }
        output.list(graph.outputs(of: node)) { $0.fixed($1?.index ?? -1) }
        let attributes = graph.attributes[Int(node.index)].sorted { $0.key < $1.key }
        output.count(attributes.count)
        for (name, value) in attributes {
            output.text(name)
            write(value)
        }
    }

    private mutating func write(_ value: AttributeValue) {
        switch value {
        case .int(let value):
            output.fixed(UInt8(0))
            output.fixed(value)
        case .float(let value):
            output.fixed(UInt8(1))
            output.fixed(value.bitPattern)
        case .string(let value):
            output.fixed(UInt8(2))
            output.text(value)
        case .tensor(let value):
            output.fixed(UInt8(3))
            write(value, isSpare: false)
        case .ints(let values):
            output.fixed(UInt8(4))
            output.list(values) { $0.fixed($1) }
        case .floats(let values):
            output.fixed(UInt8(5))
            output.list(values) { $0.fixed($1.bitPattern) }
        case .strings(let values):
            output.fixed(UInt8(6))
            output.list(values) { $0.text($1) }
        case .graph(let graph):
            output.fixed(UInt8(7))
            write(graph, isRoot: false)
        }
    }

    private mutating func write(_ tensor: Tensor, isSpare: Bool) {
        output.fixed(tensor.elementType.rawValue)
        output.list(Array(tensor.shape)) { $0.int($1) }
        output.int(tensor.byteCount)
        if let (source, offset) = source(of: tensor) {
            output.fixed(StoredPlace.source.rawValue)
            output.count(source)
            output.int(offset)
        } else if isSpare {
            output.fixed(StoredPlace.spares.rawValue)
            output.int(spares.add(tensor.storage, tensor: tensor))
        } else {
            output.fixed(StoredPlace.data.rawValue)
            output.int(data.add(tensor.storage, tensor: tensor))
        }
    }

    /// The file and place that a tensor is a view of.
    private func source(of tensor: Tensor) -> (Int, offset: Int)? {
        guard let file = tensor.storage.lender as? MappedFile, let source = sources[file.path]
        else { return nil }
        let address = unsafe UInt(bitPattern: tensor.storage.base) &+ UInt(tensor.byteOffset)
        let base = unsafe UInt(bitPattern: file.bytes.baseAddress)
        guard address >= base, address - base <= UInt(file.count) else { return nil }
        return (source, Int(address - base))
    }
}

extension StoredBytes {
    mutating func type(_ type: ValueType) {
        fixed(type.elementType?.rawValue ?? 0)
        fixed(type.container.storedNumber)
        optional(type.dimensions) { output, dimensions in
            output.list(dimensions) { output, dimension in
                output.int(dimension.constant)
                output.list(dimension.terms) { output, term in
                    output.text(term.symbol)
                    output.int(term.coefficient)
                }
            }
        }
    }
}

extension ValueContainer {
    var storedNumber: UInt8 {
        switch self {
        case .tensor: 0
        case .sequence: 1
        case .optionalTensor: 2
        case .optionalSequence: 3
        }
    }

    init(storedNumber: UInt8) throws(StoredPlanError) {
        switch storedNumber {
        case 0: self = .tensor
        case 1: self = .sequence
        case 2: self = .optionalTensor
        case 3: self = .optionalSequence
        default: throw StoredPlanError("container \(storedNumber) is not known")
        }
    }
}

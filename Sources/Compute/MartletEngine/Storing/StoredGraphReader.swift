// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGraph
internal import MartletTensor

/// Reads what `StoredGraphWriter` wrote. Everything is checked that later code relies on: ids,
/// sizes and places here, the rest by the graph's own `verify()` and shape inference.
struct StoredGraphReader {
    /// The model's files, in the order of the key.
    let sources: [ByteRegion]
    let spares: ByteRegion
    let data: ByteRegion
    let operators: OperatorSet
    private var input: StoredReader

    init(
        _ region: ByteRegion, sources: [ByteRegion], spares: ByteRegion, data: ByteRegion,
        operators: OperatorSet
    ) {
        input = StoredReader(region)
        self.sources = sources
        self.spares = spares
        self.data = data
        self.operators = operators
    }

    var isAtEnd: Bool { input.isAtEnd }

    // MARK: Parts of the graph section

    mutating func signature() throws(StoredPlanError) -> ModelSignature {
        let inputs = try input.list { reader throws(StoredPlanError) in try reader.spec() }
        let outputs = try input.list { reader throws(StoredPlanError) in try reader.spec() }
        return ModelSignature(inputs: inputs, outputs: outputs)
    }

    mutating func weights() throws(StoredPlanError) -> [PackedWeights.Form] {
        var forms: [PackedWeights.Form] = []
        for _ in 0..<(try input.count()) {
            let value = ValueID(index: try input.fixed())
            let format = try input.text()
            let offset = try input.int()
            let byteCount = try input.int()
            guard offset % TensorStorage.alignment == 0 else {
                throw StoredPlanError("packed weights at \(offset) are not aligned")
            }
            let part = try slice(data, offset, byteCount)
            forms.append(
                PackedWeights.Form(value: value, format: format, storage: storage(of: part)))
        }
        return forms
    }

    mutating func graph(depth: Int = 0) throws(StoredPlanError) -> Graph {
        guard depth <= ONNXImporter.bodyDepthMax else {
            throw StoredPlanError("graphs are nested deeper than \(ONNXImporter.bodyDepthMax)")
        }
        var graph = Graph(name: try input.text())
        for _ in 0..<(try input.count()) {
            let name = try input.text()
            _ = graph.addValue(name: name, type: try input.type())
        }
        let count = graph.valueCount
        graph.setInputs(
            try input.list { reader throws(StoredPlanError) in
                try reader.value(below: count)
            })
        graph.outputs = try input.list { reader throws(StoredPlanError) in
            try reader.value(below: count)
        }
        graph.declaredOutputs = try input.list { reader throws(StoredPlanError) in
            try reader.type()
        }
        for _ in 0..<(try input.count()) {
            let value = try input.value(below: count)
            graph.setConstant(value, try tensor())
        }
        for _ in 0..<(try input.count()) { try addNode(to: &graph, depth: depth) }
        return graph
    }

    private mutating func addNode(to graph: inout Graph, depth: Int) throws(StoredPlanError) {
        let domain = try input.text()
        let kind = try input.text()
        guard let schema = operators.schema(kind, domain: domain) else {
            throw StoredPlanError("operator \(domain).\(kind) is not known")
        }
        let name = try input.text()
        let count = graph.valueCount
        let inputs = try input.list { reader throws(StoredPlanError) in
            try reader.optionalValue(below: count)
        }
        let outputs = try input.list { reader throws(StoredPlanError) in
            try reader.optionalValue(below: count)
        }
        for case let output? in outputs
        where graph.producer(of: output) != nil || graph.constant(output) != nil {
            throw StoredPlanError("value \(output.index) is made twice")
        }
        var attributes: [String: AttributeValue] = [:]
        for _ in 0..<(try input.count()) {
            let key = try input.text()
            attributes[key] = try attribute(depth: depth)
        }
        graph.addNode(schema, name: name, inputs: inputs, outputs: outputs, attributes: attributes)
    }

    private mutating func attribute(depth: Int) throws(StoredPlanError) -> AttributeValue {
        switch try input.fixed(UInt8.self) {
        case 0: return .int(try input.fixed())
        case 1: return .float(Float(bitPattern: try input.fixed()))
        case 2: return .string(try input.text())
        case 3: return .tensor(try tensor())
        case 4:
            return .ints(
                try input.list { reader throws(StoredPlanError) in try reader.fixed() })
        case 5:
            return .floats(
                try input.list { reader throws(StoredPlanError) in
                    Float(bitPattern: try reader.fixed())
                })
        case 6:
            return .strings(
                try input.list { reader throws(StoredPlanError) in try reader.text() })
        case 7: return .graph(try graph(depth: depth + 1))
        case let kind: throw StoredPlanError("attribute kind \(kind) is not known")
        }
    }

    // MARK: Tensors

    private mutating func tensor() throws(StoredPlanError) -> Tensor {
        let elementType = try input.elementType()
        let dimensions = try input.list { reader throws(StoredPlanError) in try reader.int() }
        let byteCount = try input.int()
        guard let shape = Shape(dimensions) else {
            throw StoredPlanError("\(dimensions.count) dimensions")
        }
        let part: ByteRegion
        switch StoredPlace(rawValue: try input.fixed()) {
        case .source?:
            let number = Int(try input.fixed(UInt32.self))
            guard number < sources.count else {
                throw StoredPlanError("model file \(number) of \(sources.count)")
            }
            part = try slice(sources[number], try input.int(), byteCount)
        case .spares?: part = try slice(spares, try input.int(), byteCount)
        case .data?: part = try slice(data, try input.int(), byteCount)
        case nil: throw StoredPlanError("a tensor's place is not known")
        }
        do {
            return try Tensor(
                elementType: elementType, shape: shape, storage: storage(of: part),
                byteCount: byteCount)
        } catch {
            throw StoredPlanError("a tensor: \(error)")
        }
    }

    private func slice(
        _ region: ByteRegion, _ offset: Int, _ byteCount: Int
    ) throws(StoredPlanError) -> ByteRegion {
        guard let part = region.slice(offset: offset, count: byteCount) else {
            throw StoredPlanError(
                "\(byteCount) bytes at \(offset) do not lie in \(region.count) bytes")
        }
        return part
    }

    private func storage(of region: ByteRegion) -> TensorStorage {
        guard let base = unsafe region.bytes.baseAddress, region.count > 0 else {
            return TensorStorage(byteCount: 0)
        }
        return unsafe TensorStorage(
            borrowing: UnsafeMutableRawPointer(mutating: base), byteCount: region.count,
            owner: region.owner)
    }
}

extension StoredReader {
    mutating func elementType() throws(StoredPlanError) -> ElementType {
        let number = try fixed(UInt8.self)
        guard let type = ElementType(rawValue: number) else {
            throw StoredPlanError("element type \(number) is not known")
        }
        return type
    }

    mutating func value(below count: Int) throws(StoredPlanError) -> ValueID {
        let index = try fixed(Int32.self)
        guard index >= 0, Int(index) < count else {
            throw StoredPlanError("value \(index) of \(count)")
        }
        return ValueID(index: index)
    }

    mutating func optionalValue(below count: Int) throws(StoredPlanError) -> ValueID? {
        let index = try fixed(Int32.self)
        guard index >= -1, Int(index) < count else {
            throw StoredPlanError("value \(index) of \(count)")
        }
        return index < 0 ? nil : ValueID(index: index)
    }

    mutating func type() throws(StoredPlanError) -> ValueType {
        let number = try fixed(UInt8.self)
        let elementType = ElementType(rawValue: number)
        guard number == 0 || elementType != nil else {
            throw StoredPlanError("element type \(number) is not known")
        }
        let container = try ValueContainer(storedNumber: try fixed())
        let dimensions = try optional { reader throws(StoredPlanError) in
            try reader.list { reader throws(StoredPlanError) in try reader.dimension() }
        }
        if let dimensions, dimensions.count > Shape.rankMax {
            throw StoredPlanError("\(dimensions.count) dimensions")
        }
        return ValueType(
            elementType: elementType, dimensions: dimensions, container: container)
    }

    private mutating func dimension() throws(StoredPlanError) -> Dimension {
        let constant = try int()
        let terms = try list { reader throws(StoredPlanError) in
            Dimension.Term(symbol: try reader.text(), coefficient: try reader.int())
        }
        // Arithmetic on dimensions relies on this.
        let isSorted = zip(terms, terms.dropFirst()).allSatisfy { $0.symbol < $1.symbol }
        guard isSorted, terms.allSatisfy({ $0.coefficient != 0 }) else {
            throw StoredPlanError("a dimension's terms are out of order")
        }
        return Dimension(constant: constant, terms: terms)
    }

    mutating func spec() throws(StoredPlanError) -> TensorSpec {
        let name = try text()
        let elementType = try elementType()
        let dimensions = try list { reader throws(StoredPlanError) in try reader.int() }
        let names = try list { reader throws(StoredPlanError) in
            try reader.optional { reader throws(StoredPlanError) in try reader.text() }
        }
        guard dimensions.count <= Shape.rankMax, names.count == dimensions.count,
            dimensions.allSatisfy({ $0 >= -1 })
        else { throw StoredPlanError("'\(name)': its dimensions do not fit") }
        let container = try ValueContainer(storedNumber: try fixed())
        return TensorSpec(
            name: name, elementType: elementType, dimensions: dimensions, dimensionNames: names,
            container: container, isRankKnown: try flag())
    }
}

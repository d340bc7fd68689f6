// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletTensor

/// A graph while its values and nodes are read from an ONNX model.
struct ONNXGraphBuild {
    let source: ONNXGraph
    let operators: OperatorSet
    let externalFiles: ONNXExternalFiles
    var problems: ImportProblems
    var graph: Graph
    var values: [String: ValueID] = [:]
    /// Names of values that some node or graph output reads.
    var readNames: Set<String> = []
    /// Function calls' expansion, shared by all graphs of a model.
    var expansion: FunctionExpansion
    /// What a body reads of the graphs around it: names, and the inputs that stand for them.
    var captures: [(name: String, input: ValueID)] = []
    /// The values of the graphs around a body.
    var outer: OuterValues?
    private var declaredTypes: [String: ONNXType] = [:]
    private var madeNames = 0

    init(
        source: ONNXGraph, operators: OperatorSet, externalFiles: ONNXExternalFiles,
        expansion: FunctionExpansion, problems: ImportProblems
    ) {
        self.source = source
        self.expansion = expansion
        self.operators = operators
        self.externalFiles = externalFiles
        self.problems = problems
        graph = Graph(name: source.name)
        for info in source.valueInfo + source.outputs {
            declaredTypes[info.name] = info.type
        }
    }

    // MARK: Values

    mutating func addValues() {
        for tensor in source.initializers {
            guard values[tensor.name] == nil else {
                problems.add(.invalidModel, "initialiser '\(tensor.name)' is there twice")
                continue
            }
            guard let constant = self.tensor(tensor, of: "initialiser '\(tensor.name)'") else {
                // Known by name, so that its readers are not reported as well.
                values[tensor.name] = graph.addValue(name: tensor.name)
                continue
            }
            values[tensor.name] = graph.addConstant(name: tensor.name, constant)
        }
        for sparse in source.sparseInitializers {
            let name = sparse.values.name
            guard values[name] == nil else {
                problems.add(.invalidModel, "initialiser '\(name)' is there twice")
                continue
            }
            let constant = dense(sparse)
            values[name] =
                constant.map { graph.addConstant(name: name, $0) } ?? graph.addValue(name: name)
        }
        var inputs: Set<String> = []
        for info in source.inputs {
            guard inputs.insert(info.name).inserted else {
                problems.add(.invalidModel, "input '\(info.name)' is there twice")
                continue
            }
            // Before IR version 4 every initialiser is listed as an input; later it means a
            // default.
            if values[info.name] != nil { continue }
            values[info.name] = graph.addInput(name: info.name, type: inputType(info))
        }
    }

    private mutating func inputType(_ info: ONNXValueInfo) -> ValueType {
        guard let type = info.type else {
            // A body's inputs are of the types that its node is given.
            if outer != nil { return ValueType() }
            problems.add(.invalidModel, "input '\(info.name)' has no type")
            return ValueType()
        }
        guard let (dataType, shape, container) = contents(of: type) else {
            problems.add(
                .unsupported, "input '\(info.name)' is neither tensor, sequence nor optional value")
            return ValueType()
        }
        guard let elementType = elementType(dataType) else {
            problems.add(.unsupported, "input '\(info.name)' has elements of type \(dataType)")
            return ValueType()
        }
        if let shape, shape.count > Shape.rankMax {
            problems.add(
                .limitExceeded,
                "input '\(info.name)' has \(shape.count) dimensions; at most \(Shape.rankMax)")
            return ValueType(elementType: elementType)
        }
        return ValueType(
            elementType: elementType, dimensions: dimensions(shape, of: info.name),
            container: container)
    }

    /// A type's tensors, and what holds them; nil for types that have no tensors.
    func contents(
        of type: ONNXType
    ) -> (ONNXDataType, shape: [ONNXDimension]?, container: ValueContainer)? {
        switch type {
        case .tensor(let type, let shape): (type, shape, .tensor)
        case .sequence(.tensor(let type, let shape)): (type, shape, .sequence)
        case .optional(.tensor(let type, let shape)): (type, shape, .optionalTensor)
        case .optional(.sequence(.tensor(let type, let shape))): (type, shape, .optionalSequence)
        default: nil
        }
    }

    private func dimensions(_ shape: [ONNXDimension]?, of name: String) -> [Dimension]? {
        shape?.enumerated().map { axis, dimension in
            switch dimension {
            case .fixed(let size) where size >= 0: Dimension(size)
            case .symbol(let symbol) where !symbol.isEmpty && !symbol.hasPrefix("?"):
                Dimension(symbol: symbol)
            default: Dimension(symbol: "\(name).\(axis)")
            }
        }
    }

    func elementType(_ type: ONNXDataType) -> ElementType? {
        UInt8(exactly: type.rawValue).flatMap(ElementType.init(rawValue:))
    }

    /// A tensor of the file as one of ours; nil, with the problem noted, where that cannot be.
    mutating func tensor(_ tensor: ONNXTensor, of owner: String) -> Tensor? {
        guard let elementType = elementType(tensor.dataType) else {
            problems.add(.unsupported, "\(owner) has elements of type \(tensor.dataType)")
            return nil
        }
        guard let shape = Shape(tensor.dimensions) else {
            problems.add(
                .limitExceeded,
                "\(owner) has \(tensor.dimensions.count) dimensions; at most \(Shape.rankMax)")
            return nil
        }
        do {
            let region = try tensor.elements(in: externalFiles)
            return try Tensor(
                elementType: elementType, shape: shape, storage: storage(of: region),
                byteCount: region.count)
        } catch {
            problems.add(.invalidModel, "\(owner): \(error)")
            return nil
        }
    }

    /// The bytes in place, or a copy where they are few and not aligned for vectors.
    private func storage(of region: ByteRegion) -> TensorStorage {
        let copiedMax = 1 << 16
        let base = unsafe region.bytes.baseAddress
        if let base = unsafe base, region.count > copiedMax || region.isAligned(to: 64) {
            return unsafe TensorStorage(
                borrowing: UnsafeMutableRawPointer(mutating: base), byteCount: region.count,
                owner: region.owner)
        }
        let copy = TensorStorage(byteCount: region.count)
        if let base = unsafe base {
            unsafe copy.base.copyMemory(from: base, byteCount: region.count)
        }
        withExtendedLifetime(region.owner) {}
        return copy
    }

    /// Adds a constant under a new name and returns the name: what converters turn attributes into.
    mutating func constant(_ tensor: Tensor, near name: String) -> String {
        madeNames += 1
        let made = "\(name)#\(madeNames)"
        values[made] = graph.addConstant(name: made, tensor)
        readNames.insert(made)
        return made
    }

    /// A name for a value between nodes that a converter makes.
    mutating func freshName(near name: String) -> String {
        madeNames += 1
        return "\(name)#\(madeNames)"
    }

    /// The constant of this name, where it is one.
    func constant(named name: String?) -> Tensor? {
        guard let name else { return nil }
        if let own = values[name] { return graph.constant(own) }
        return outer?.find(name) ?? nil
    }

    // MARK: Outputs

    mutating func addOutputs() {
        if source.outputs.isEmpty {
            problems.add(.invalidModel, "the graph has no outputs")
        }
        var seen: Set<String> = []
        for info in source.outputs {
            guard seen.insert(info.name).inserted else {
                problems.add(.invalidModel, "output '\(info.name)' is there twice")
                continue
            }
            guard let value = lookUp(info.name) else {
                problems.add(.invalidModel, "nothing computes the output '\(info.name)'")
                continue
            }
            graph.outputs.append(value)
            graph.declaredOutputs.append(declaredType(info.name))
        }
    }

    /// The type that the model declares for a value it computes; nothing where it declares none.
    func declaredType(_ name: String) -> ValueType {
        guard let (type, shape, container) = declaredTypes[name].flatMap({ contents(of: $0) }),
            (shape?.count ?? 0) <= Shape.rankMax
        else { return ValueType() }
        return ValueType(
            elementType: elementType(type), dimensions: dimensions(shape, of: name),
            container: container)
    }
}

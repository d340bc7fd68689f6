// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

// Operators that run graphs. Every run of a body counts against the run's iterations and looks
// for cancellation; what is collected counts against its memory.
extension NativeOperator {
    static let `if` = NativeOperator(.if) { call in
        let branch = try call.flag(0) ? "then_branch" : "else_branch"
        let results = try call.run(body: branch, own: [])
        for (index, value) in results.enumerated() { call.set(index, value) }
    }

    static let loop = NativeOperator(.loop) { call in
        let most = call.optional(0) == nil ? nil : try call.integer(0)
        var goesOn = call.optional(1) == nil ? true : try call.flag(1)
        let hasCondition = call.optional(1) != nil
        var carried = try (2..<Swift.max(2, call.formalInputCount)).map { try call.value($0) }
        var collected = call.collectors(after: carried.count)
        var iteration = 0
        while goesOn && most.map({ iteration < $0 }) ?? true {
            let own: [EngineValue] =
                [
                    .tensor(try Tensor([Int64(iteration)], shape: [])),
                    .tensor(try Tensor(booleans: [true], shape: [])),
                ] + carried
            let results = try call.run(body: "body", own: own)
            guard results.count == 1 + carried.count + collected.count,
                let condition = results[0].tensor, condition.elementCount == 1
            else { throw call.failure("its body makes \(results.count) values", .invalidModel) }
            // Without a condition at the start, what the body says of it is not heard.
            goesOn = !hasCondition || HostValue(condition)?.integers?.first != 0
            carried = Array(results[1..<(1 + carried.count)])
            try call.checkHeld(carried)
            try call.collect(results.dropFirst(1 + carried.count), into: &collected)
            iteration += 1
        }
        for (index, value) in carried.enumerated() { call.set(index, value) }
        try call.setCollected(collected, after: carried.count, axes: [], reversed: [])
    }

    static let scan = NativeOperator(.scan) { call in
        let isBatched = call.int("batched") != 0
        let first = isBatched ? 1 : 0
        let scanned = call.int("num_scan_inputs")
        guard scanned > 0, scanned <= call.formalInputCount - first else {
            throw call.failure("num_scan_inputs \(scanned)", .invalidModel)
        }
        let states = call.formalInputCount - scanned - first
        let inputs = try (0..<(states + scanned)).map { try call.value($0 + first) }
        if isBatched { return try call.scanBatch(inputs, states: states) }
        let (results, collected) = try call.scan(inputs, states: states, lengthMax: nil)
        for (index, value) in results.enumerated() { call.set(index, value) }
        try call.setCollected(
            collected, after: states, axes: call.attributes["scan_output_axes"]?.ints ?? [],
            reversed: call.attributes["scan_output_directions"]?.ints ?? [])
    }

    static let sequenceMap = NativeOperator(.sequenceMap) { call in
        let first = try call.sequence(0)
        let others = try (1..<Swift.max(1, call.formalInputCount)).map { try call.value($0) }
        var results = [[Tensor]](repeating: [], count: call.outputs.count)
        for (place, element) in first.enumerated() {
            let own =
                try [.tensor(element)]
                + others.map { other -> EngineValue in
                    guard let sequence = other.sequence else { return other }
                    guard place < sequence.count else {
                        throw call.failure(
                            "sequences of \(first.count) and \(sequence.count)", .invalidInput)
                    }
                    return .tensor(sequence[place])
                }
            let made = try call.run(body: "body", own: own)
            for (index, value) in made.enumerated() where index < results.count {
                guard let tensor = value.tensor else {
                    throw call.failure("its body makes \(value.summary)", .invalidInput)
                }
                try call.reserve(bytes: tensor.byteCount)
                results[index].append(tensor)
            }
        }
        for (index, tensors) in results.enumerated() { call.set(index, .sequence(tensors)) }
    }
}

extension HostCall {
    /// How many inputs are no captures.
    var formalInputCount: Int { attributes.formalInputCount(of: inputs.count) }

    /// Runs a body with its own inputs and what it captures.
    func run(body name: String, own: [EngineValue]) throws -> [EngineValue] {
        let places = attributes[GraphBody.capturesAttribute(of: name)]?.ints ?? []
        let captured = try places.map { try value(Int($0)) }
        return try run(body: name, own + captured)
    }

    /// One list for each output behind the first `count`.
    fileprivate func collectors(after count: Int) -> [[Tensor]] {
        Array(repeating: [], count: Swift.max(0, outputs.count - count))
    }

    fileprivate func collect(
        _ values: some Sequence<EngineValue>, into collected: inout [[Tensor]]
    ) throws {
        for (index, value) in values.enumerated() where index < collected.count {
            guard let tensor = value.tensor else {
                throw failure("its body collects \(value.summary)", .invalidInput)
            }
            try reserve(bytes: tensor.byteCount + MemoryLayout<Tensor>.stride)
            collected[index].append(tensor)
        }
    }

    /// What was collected becomes outputs, stacked; nothing collected is an empty tensor.
    fileprivate func setCollected(
        _ collected: [[Tensor]], after count: Int, axes: [Int64], reversed: [Int64]
    ) throws {
        for (index, tensors) in collected.enumerated() where wants(count + index) {
            guard let first = tensors.first else {
                set(count + index, try nothingCollected(count + index))
                continue
            }
            let stated = index < axes.count ? Int(axes[index]) : 0
            let axis = try axis(stated, rank: first.shape.rank + 1)
            let isReversed = index < reversed.count && reversed[index] != 0
            set(count + index, try stacked(isReversed ? tensors.reversed() : tensors, axis: axis))
        }
    }

    /// Zero rows of what the body says it would have made.
    private func nothingCollected(_ index: Int) throws -> Tensor {
        let type = outputTypes[index] ?? ValueType()
        let elementType = type.elementType ?? .float32
        let sizes = (type.dimensions?.dropFirst() ?? []).map { $0.fixed ?? 0 }
        guard let shape = Shape([0] + sizes) else {
            throw failure("more than \(Shape.rankMax) dimensions", .limitExceeded)
        }
        return try Tensor(
            elementType: elementType, shape: shape, storage: TensorStorage(byteCount: 0),
            byteCount: 0)
    }

    // MARK: Scan

    /// - Parameter lengthMax: stops early; nil scans to the end.
    /// - Returns: the last states, and what was collected.
    fileprivate func scan(
        _ inputs: [EngineValue], states: Int, lengthMax: Int?
    ) throws -> ([EngineValue], [[Tensor]]) {
        let sequences = try inputs.dropFirst(states).map { value in
            guard let tensor = value.tensor else {
                throw failure("it scans \(value.summary)", .invalidInput)
            }
            return tensor
        }
        let stated = attributes["scan_input_axes"]?.ints ?? []
        let directions =
            attributes["scan_input_directions"]?.ints ?? attributes["directions"]?.ints ?? []
        let axes = try sequences.enumerated().map { index, tensor in
            try axis(index < stated.count ? Int(stated[index]) : 0, rank: tensor.shape.rank)
        }
        guard let first = sequences.first else { return (inputs, []) }
        let length = first.shape[axes[0]]
        for (tensor, axis) in zip(sequences, axes) where tensor.shape[axis] != length {
            throw failure("it scans \(first.summary) along with \(tensor.summary)", .invalidInput)
        }
        var carried = Array(inputs.prefix(states))
        var collected = collectors(after: states)
        for step in 0..<Swift.min(length, lengthMax ?? length) {
            let slices = try sequences.enumerated().map { index, tensor -> EngineValue in
                let isReversed = index < directions.count && directions[index] != 0
                let place = isReversed ? length - 1 - step : step
                return .tensor(try slice(tensor, axis: axes[index], place))
            }
            let results = try run(body: "body", own: carried + slices)
            guard results.count == states + collected.count else {
                throw failure("its body makes \(results.count) values", .invalidModel)
            }
            carried = Array(results.prefix(states))
            try checkHeld(carried)
            try collect(results.dropFirst(states), into: &collected)
        }
        return (carried, collected)
    }

    /// One slice, without its axis.
    private func slice(_ tensor: Tensor, axis: Int, _ place: Int) throws -> Tensor {
        var sizes = Array(tensor.shape)
        sizes.remove(at: axis)
        guard let shape = Shape(sizes) else { return tensor }
        return try state.scoped {
            try slices(tensor, axis: axis, [place]).reshaped(to: shape)
        }
    }

    /// Version 8: every row of the batch is scanned, up to its length; the rest is zeros.
    fileprivate func scanBatch(_ inputs: [EngineValue], states: Int) throws {
        let tensors = try inputs.map { value in
            guard let tensor = value.tensor, tensor.shape.rank > 0 else {
                throw failure("it scans \(value.summary)", .invalidInput)
            }
            return tensor
        }
        let count = tensors.first?.shape[0] ?? 0
        guard count > 0, tensors.allSatisfy({ $0.shape[0] == count }) else {
            throw failure("its inputs are of different batches", .invalidInput)
        }
        let lengths = try optionalTensor(0).flatMap { HostValue($0)?.integers }
        var lastStates = [[Tensor]](repeating: [], count: states)
        var rows = collectors(after: states)
        for row in 0..<count {
            try state.step(description)
            let own = try tensors.map { EngineValue.tensor(try slice($0, axis: 0, row)) }
            let length = lengths.map { row < $0.count ? $0[row] : 0 }
            let (last, collected) = try scan(own, states: states, lengthMax: length)
            for (index, value) in last.enumerated() {
                if let tensor = value.tensor { lastStates[index].append(tensor) }
            }
            let full = tensors[states].shape.rank > 1 ? tensors[states].shape[1] : 0
            for (index, made) in collected.enumerated() where !made.isEmpty {
                rows[index].append(try padded(stacked(made, axis: 0), to: full))
            }
        }
        for (index, made) in (lastStates + rows).enumerated() where wants(index) {
            set(index, try stacked(made, axis: 0))
        }
    }

    private func padded(_ tensor: Tensor, to length: Int) throws -> Tensor {
        guard tensor.shape[0] < length else { return tensor }
        var shape = tensor.shape
        shape[0] = length
        let storage = try make(tensor.elementType, shape)
        unsafe storage.mutableBytes.initializeMemory(as: UInt8.self, repeating: 0)
        unsafe storage.mutableBytes.copyMemory(from: tensor.bytes)
        return try Tensor(elementType: tensor.elementType, shape: shape, storage: storage)
    }
}

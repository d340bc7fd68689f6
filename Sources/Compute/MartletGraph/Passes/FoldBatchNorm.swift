// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// Folds batch normalisations, and products and sums by channel, into the convolution before them;
/// those without one become a scale and shift, neighbours merged.
public struct FoldBatchNorm: GraphPass {
    public static let name = "fold-batch-norm"

    /// Weights of this many elements are not copied.
    static let largeCountMin = 8192

    public init() {}

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        var changes = 0
        for node in Array(graph.nodes) where try normalizationToScale(node, in: &graph) {
            changes += 1
        }
        for node in Array(graph.nodes) where !graph.isDead[Int(node.index)] {
            if try elementwiseToScale(node, in: &graph) { changes += 1 }
            if try mergeIntoScale(node, in: &graph) { changes += 1 }
            if try foldIntoConvolution(node, in: &graph) { changes += 1 }
        }
        return changes
    }

    /// BatchNormalization with constant statistics: x · s + t.
    private func normalizationToScale(
        _ node: NodeID, in graph: inout Graph
    ) throws(GraphError) -> Bool {
        guard graph.schema(of: node) == .batchNormalization,
            graph.outputs(of: node).dropFirst().allSatisfy({ $0 == nil }),
            let data = graph.input(0, of: node), graph.isFloat32(data),
            let scale = graph.constantFloats(graph.input(1, of: node)),
            let bias = graph.constantFloats(graph.input(2, of: node)),
            let mean = graph.constantFloats(graph.input(3, of: node)),
            let variance = graph.constantFloats(graph.input(4, of: node)),
            bias.count == scale.count, mean.count == scale.count, variance.count == scale.count
        else { return false }
        let epsilon = Double(graph.attribute("epsilon", of: node)?.float ?? 1e-5)
        var factors = scale
        var shifts = bias
        for channel in scale.indices {
            let factor = Double(scale[channel]) / (Double(variance[channel]) + epsilon).squareRoot()
            factors[channel] = Float(factor)
            shifts[channel] = Float(Double(bias[channel]) - Double(mean[channel]) * factor)
        }
        let layout = graph.attribute("layout", of: node)
        let old = graph.inputs(of: node)
        try setScale(node, of: data, factors, shifts, layout: layout, in: &graph)
        for case let value? in old.dropFirst() { graph.dropIfUnread(value) }
        return true
    }

    private func setScale(
        _ node: NodeID, of data: ValueID, _ factors: [Float], _ shifts: [Float],
        layout: AttributeValue?, in graph: inout Graph
    ) throws(GraphError) {
        let name = graph.result(of: node).map { graph.name(of: $0) } ?? ""
        let scale = try graph.addFloats(factors, shape: [factors.count], name: name + ".scale")
        let shift = try graph.addFloats(shifts, shape: [shifts.count], name: name + ".shift")
        graph.rewrite(
            node, as: .scaleShift, inputs: [data, scale, shift],
            attributes: layout.map { ["layout": $0] } ?? [:])
    }

    /// Mul or Add by a constant [C, 1, …] right after a convolution or a scale and shift.
    private func elementwiseToScale(
        _ node: NodeID, in graph: inout Graph
    ) throws(GraphError) -> Bool {
        let isProduct = graph.schema(of: node) == .mul
        guard isProduct || graph.schema(of: node) == .add, graph.inputs(of: node).count == 2 else {
            return false
        }
        for slot in 0..<2 {
            guard let data = graph.input(slot, of: node), graph.hasSingleUse(data),
                let before = graph.producer(of: data),
                [.conv, .scaleShift].contains(graph.schema(of: before)),
                graph.attribute("layout", of: before) == nil,
                let shape = graph.dimensions(of: data), shape.count >= 3,
                let channels = shape[1].fixed, let other = graph.input(1 - slot, of: node),
                let tensor = graph.constant(other), let values = graph.constantFloats(other),
                isByChannel(tensor.shape, rank: shape.count, channels: channels)
            else { continue }
            let numbers =
                values.count == 1 ? Array(repeating: values[0], count: channels) : values
            let zeros = [Float](repeating: 0, count: channels)
            let ones = [Float](repeating: 1, count: channels)
            try setScale(
                node, of: data, isProduct ? numbers : ones, isProduct ? zeros : numbers,
                layout: nil, in: &graph)
            graph.dropIfUnread(other)
            return true
        }
        return false
    }

    private func isByChannel(_ shape: Shape, rank: Int, channels: Int) -> Bool {
        if shape.elementCountChecked == 1 { return shape.rank <= rank }
        let lead = rank - shape.rank
        guard lead == 0 || lead == 1 else { return false }
        for axis in shape.indices where shape[axis] != (axis + lead == 1 ? channels : 1) {
            return false
        }
        return true
    }

    /// A scale and shift of a scale and shift is one.
    private func mergeIntoScale(
        _ node: NodeID, in graph: inout Graph
    ) throws(GraphError) -> Bool {
        guard graph.schema(of: node) == .scaleShift, let data = graph.input(0, of: node),
            graph.hasSingleUse(data), let before = graph.producer(of: data, is: .scaleShift),
            let source = graph.input(0, of: before),
            graph.attribute("activation", of: before) == nil,
            let outer = parameters(of: node, in: graph),
            let inner = parameters(of: before, in: graph), outer.scale.count == inner.scale.count
        else { return false }
        let factors = zip(inner.scale, outer.scale).map { $0 * $1 }
        let shifts = zip(zip(inner.shift, outer.scale).map { $0 * $1 }, outer.shift).map { $0 + $1 }
        try setScale(
            node, of: source, factors, shifts, layout: graph.attribute("layout", of: node),
            in: &graph)
        graph.removeNode(before)
        return true
    }

    private func parameters(
        of node: NodeID, in graph: Graph
    ) -> (scale: [Float], shift: [Float])? {
        guard let scale = graph.constantFloats(graph.input(1, of: node)),
            let shift = graph.constantFloats(graph.input(2, of: node)), scale.count == shift.count
        else { return nil }
        return (scale, shift)
    }

    /// conv(x, W) + b, scaled and shifted: conv(x, s·W) + (s·b + t). Large weights stay as they are
    /// and s becomes the convolution's fifth input.
    private func foldIntoConvolution(
        _ node: NodeID, in graph: inout Graph
    ) throws(GraphError) -> Bool {
        guard graph.schema(of: node) == .scaleShift, let data = graph.input(0, of: node),
            graph.hasSingleUse(data), let conv = graph.producer(of: data, is: .conv),
            let source = graph.input(0, of: conv), let weights = graph.input(1, of: conv),
            let tensor = graph.constant(weights), tensor.elementType == .float32,
            let (scale, shift) = parameters(of: node, in: graph), let channels = tensor.shape.first,
            channels == scale.count, channels > 0
        else { return false }
        var bias = [Float](repeating: 0, count: channels)
        let oldBias = graph.input(2, of: conv)
        if let oldBias {
            guard let known = graph.constantFloats(oldBias), known.count == channels else {
                return false
            }
            bias = known
        }
        for channel in 0..<channels {
            bias[channel] = bias[channel] * scale[channel] + shift[channel]
        }
        let attributes = graph.attributes[Int(conv.index)]
        let name = graph.name(of: data)
        var inputs: [ValueID?] = [source, weights]
        if isLarge(tensor), tensor.shape.rank == 4 {
            // The kernel's packing applies the scale: a second copy of the weights would stay.
            let before = graph.constantFloats(graph.input(4, of: conv))
            let whole = before.map { zip($0, scale).map { $0 * $1 } } ?? scale
            inputs.append(try graph.addFloats(bias, shape: [channels], name: name + ".bias"))
            inputs.append(nil)
            inputs.append(try graph.addFloats(whole, shape: [channels], name: name + ".scale"))
        } else {
            guard var numbers = graph.constantFloats(weights) else { return false }
            let perChannel = numbers.count / channels
            for channel in 0..<channels {
                for index in (channel * perChannel)..<((channel + 1) * perChannel) {
                    numbers[index] *= scale[channel]
                }
            }
            inputs[1] = try graph.addFloats(numbers, shape: tensor.shape, name: name + ".weights")
            inputs.append(try graph.addFloats(bias, shape: [channels], name: name + ".bias"))
        }
        graph.rewrite(node, as: .conv, inputs: inputs, attributes: attributes)
        graph.removeNode(conv)
        if inputs[1] != weights { graph.dropIfUnread(weights) }
        if let oldBias { graph.dropIfUnread(oldBias) }
        return true
    }

    private func isLarge(_ weights: Tensor) -> Bool {
        weights.elementType == .float32 && weights.elementCount >= FoldBatchNorm.largeCountMin
    }
}

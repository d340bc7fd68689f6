// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

/// Chooses a precision for each product with constant weights, by measuring what the choice does
/// to the model's answers.
///
/// All products go to bf16 at once where the answers stay inside the bound. Otherwise each is
/// measured alone, and the longest row of them, the most harmless first, that stays inside the
/// bound together is taken; then the same with int8 where that is allowed. Costs two runs of the
/// model for a harmless one, and some more than one a product for others.
struct PrecisionChooser {
    /// The most products that are measured one by one; the largest are.
    static let singlesMax = 256
    static let seed: UInt64 = 20_261_121

    let graph: Graph
    let signature: ModelSignature
    let operators: OperatorTable
    let options: EngineOptions
    let calibration: PrecisionCalibration

    typealias Assignment = [NodeID: EnginePrecision]

    func choose() -> (graph: Graph, report: PrecisionReport) {
        let products = candidates()
        var inputs = calibration.inputs
        let isSynthetic = inputs.isEmpty
        if isSynthetic {
            inputs = SyntheticInputs.make(signature, seed: Self.seed).map { [$0] } ?? []
        }
        func unchanged(_ reason: String) -> (Graph, PrecisionReport) {
            (graph, report([:], products, error: nil, reason))
        }
        guard !products.isEmpty else { return unchanged("no products with enough weights") }
        guard martlet_gemm_narrow_is_fast(MARTLET_NARROW_BF16) != 0 else {
            return unchanged("this machine has no instructions for bf16")
        }
        guard let trials = PrecisionTrials(self, inputs) else {
            return unchanged(
                isSynthetic
                    ? "the model does not run on made-up inputs; give some to measure with"
                    : "the model does not run on the given inputs, or its answers are not finite")
        }
        var (chosen, error) = extend([:], products, to: .bfloat16, trials)
        if calibration.allowsInt8, !isSynthetic,
            martlet_gemm_narrow_is_fast(MARTLET_NARROW_INT8) != 0
        {
            let narrow = products.filter { chosen[$0] != nil }
            let (more, moreError) = extend(chosen, narrow, to: .int8, trials)
            if more != chosen { (chosen, error) = (more, moreError) }
        }
        var result = graph
        for (node, precision) in chosen {
            result.attributes[Int(node.index)][EnginePrecision.attribute] =
                .string(precision.rawValue)
        }
        let basis =
            isSynthetic ? "on synthetic inputs" : "on \(inputs.count) given sets of inputs"
        return (result, report(chosen, products, error: error, basis))
    }

    /// Adds as many of the products as stay inside the bound together.
    private func extend(
        _ base: Assignment, _ products: [NodeID], to precision: EnginePrecision,
        _ trials: PrecisionTrials
    ) -> (Assignment, Double) {
        func with(_ added: some Sequence<NodeID>) -> Assignment {
            var assignment = base
            for node in added { assignment[node] = precision }
            return assignment
        }
        let bound = calibration.errorMax
        let all = trials.error(of: with(products))
        if all <= bound { return (with(products), all) }
        let singles = products.prefix(Self.singlesMax).map { node in
            (node, error: trials.error(of: with([node])))
        }
        let ranked = singles.filter { $0.error <= bound }.sorted {
            $0.error != $1.error ? $0.error < $1.error : $0.0 < $1.0
        }.map(\.0)
        var low = 0
        var lowError = 0.0
        var high = ranked.count + 1
        while high - low > 1 {
            let middle = (low + high) / 2
            let error = trials.error(of: with(ranked.prefix(middle)))
            if error <= bound { (low, lowError) = (middle, error) } else { high = middle }
        }
        return (with(ranked.prefix(low)), lowError)
    }

    /// Products whose weights are constants of 32-bit floats, those with the most weights first.
    private func candidates() -> [NodeID] {
        let kinds: Set<OperatorSchema> = [.matMul, .gemm, .fusedMatMul, .conv, .fusedConv]
        return graph.nodes.filter {
            kinds.contains(graph.schema(of: $0)) && weightCount($0) >= 4096
        }
        .sorted {
            let (left, right) = (weightCount($0), weightCount($1))
            return left != right ? left > right : $0 < $1
        }
    }

    private func weightCount(_ node: NodeID) -> Int {
        let inputs = graph.inputs(of: node)
        guard inputs.count > 1, let value = inputs[1], let tensor = graph.constant(value),
            tensor.elementType == .float32
        else { return 0 }
        return tensor.elementCount
    }

    private func report(
        _ chosen: Assignment, _ products: [NodeID], error: Double?, _ basis: String
    ) -> PrecisionReport {
        let kinds: [EnginePrecision] = [.float32, .bfloat16, .int8]
        return PrecisionReport(
            counts: kinds.map { kind in
                (kind, products.count { (chosen[$0] ?? .float32) == kind })
            }, error: error, errorMax: calibration.errorMax, basis: basis)
    }
}

/// Runs a model with one assignment of precisions after another and compares the answers.
final class PrecisionTrials {
    private let chooser: PrecisionChooser
    private let inputs: [[Tensor]]
    private var expected: [[[Float]]] = []
    private var packed: [PackedWeights.Form] = []

    /// Nil where the model does not run, or its f32 answers are not finite.
    init?(_ chooser: PrecisionChooser, _ inputs: [[Tensor]]) {
        self.chooser = chooser
        self.inputs = inputs
        guard !inputs.isEmpty, let answers = try? answers([:]),
            answers.allSatisfy({ $0.allSatisfy { $0.allSatisfy(\.isFinite) } }),
            answers.contains(where: { $0.contains { !$0.isEmpty } })
        else { return nil }
        expected = answers
    }

    /// The worst output's relative distance to the f32 answers; infinite where it cannot be told.
    func error(of assignment: PrecisionChooser.Assignment) -> Double {
        guard let answers = try? answers(assignment) else { return .infinity }
        var worst = 0.0
        for (set, exact) in zip(answers, expected) {
            for (output, reference) in zip(set, exact) {
                guard output.count == reference.count else { return .infinity }
                var difference = 0.0
                var size = 0.0
                for (value, right) in zip(output, reference) {
                    difference += Double(value - right) * Double(value - right)
                    size += Double(right) * Double(right)
                }
                guard difference.isFinite else { return .infinity }
                if difference > 0 {
                    worst = Swift.max(
                        worst, size > 0 ? (difference / size).squareRoot() : .infinity)
                }
            }
        }
        return worst
    }

    /// Floating-point outputs by set of inputs; others count as they are, number by number.
    private func answers(_ assignment: PrecisionChooser.Assignment) throws -> [[[Float]]] {
        var graph = chooser.graph
        for (node, precision) in assignment {
            graph.attributes[Int(node.index)][EnginePrecision.attribute] =
                .string(precision.rawValue)
        }
        var options = chooser.options
        options.precision = .float32
        let session = try NativeSession(
            graph: graph, signature: chooser.signature, operators: chooser.operators,
            options: options, weights: packed)
        let context = try session.makeContext()
        defer { packed = session.root.weights.forms }
        return try inputs.map { set in
            var outputs: [Tensor] = []
            try context.run(set, outputs: &outputs, cancellation: nil)
            return outputs.map { tensor in
                switch tensor.elementType {
                case .float32: (try? tensor.elements(as: Float.self)) ?? []
                case .float64: (try? tensor.elements(as: Double.self))?.map { Float($0) } ?? []
                case .int64: (try? tensor.elements(as: Int64.self))?.map { Float($0) } ?? []
                case .int32: (try? tensor.elements(as: Int32.self))?.map { Float($0) } ?? []
                default: []
                }
            }
        }
    }
}

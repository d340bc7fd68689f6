// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletEngine
internal import MartletLanguage
internal import MartletTensor

// What a text model answers.
extension TextExecutor {
    static let inputName = "text"
    static let pairName = "text_pair"

    var isEmbedder: Bool { encoder.kind == .embedder }
    var outputName: String { isEmbedder ? "embedding" : "logits" }

    /// The signature that tensor clients see.
    static func signature(_ encoder: TextEncoder) -> (inputs: [TensorSpec], outputs: [TensorSpec]) {
        let name = encoder.kind == .embedder ? "embedding" : "logits"
        return (
            [TensorSpec(name: inputName, elementType: .bytes, dimensions: [-1])],
            [
                TensorSpec(
                    name: name, elementType: .float32, dimensions: [-1, encoder.outputSize])
            ]
        )
    }

    func submit(
        _ request: EmbeddingRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<EmbeddingResponse, ServingError>) -> Void
    ) -> Bool {
        let width = request.dimensions ?? encoder.outputSize
        guard isEmbedder else {
            completion(
                .failure(
                    ServingError(
                        .unsupported, "model '\(model)' classifies texts, it does not embed them")))
            return true
        }
        guard width >= 1, width <= encoder.outputSize else {
            completion(
                .failure(
                    ServingError(
                        .invalidArgument,
                        "dimensions is \(width), model '\(model)' has 1 to \(encoder.outputSize)"))
            )
            return true
        }
        let claim = Claim(
            truncates: request.truncates, deadline: request.deadline, context: request.context)
        let model = model
        return run(claim, cancellation: cancellation) {
            request.inputs.map { input in
                switch input {
                case .text(let text): .text(text)
                case .tokens(let tokens): .tokens(tokens)
                }
            }
        } completion: { result in
            completion(
                result.map { rows in
                    EmbeddingResponse(
                        model: model, vectors: rows.leading(width), dimensions: width,
                        promptTokens: rows.tokenCount)
                })
        }
    }

    func submit(
        _ request: RerankRequest, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<RerankResponse, ServingError>) -> Void
    ) -> Bool {
        guard !isEmbedder, encoder.outputSize == 1 else {
            completion(
                .failure(
                    ServingError(
                        .unsupported,
                        "model '\(model)' is not a cross-encoder with one score a pair")))
            return true
        }
        let claim = Claim(deadline: request.deadline, context: request.context)
        let model = model
        return run(claim, cancellation: cancellation) {
            request.documents.map { .pair(request.query, $0) }
        } completion: { result in
            completion(
                result.map { rows in
                    RerankResponse(
                        model: model, scores: rows.values.map { 1 / (1 + expf(-$0)) },
                        promptTokens: rows.tokenCount)
                })
        }
    }

    func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping ModelHost.InferenceCompletion
    ) -> Bool {
        let shape: Shape
        let texts: Tensor
        let pairs: Tensor?
        do throws(ServingError) {
            (texts, pairs) = try inputs(request)
            shape = [texts.shape.elementCountChecked ?? 0, encoder.outputSize]
            for output in request.outputs where output.name != outputName {
                throw ServingError(
                    .invalidArgument,
                    "unexpected inference output '\(output.name)' for model '\(model)'")
            }
        } catch {
            completion(.failure(error))
            return true
        }
        let claim = Claim(
            priority: request.priority, timeout: request.queueTimeout,
            deadline: request.deadline, context: request.context)
        return run(claim, cancellation: cancellation) { () throws(ServingError) -> [Source] in
            let firsts = try BytesTensor.texts(texts, name: TextExecutor.inputName)
            guard let pairs else { return firsts.map { .text($0) } }
            let seconds = try BytesTensor.texts(pairs, name: TextExecutor.pairName)
            return zip(firsts, seconds).map { .pair($0, $1) }
        } completion: { [self] result in
            completion(result.flatMap { respond(request, $0, shape: shape) })
        }
    }

    private func inputs(
        _ request: InferenceRequest
    ) throws(ServingError) -> (Tensor, Tensor?) {
        for input in request.inputs {
            guard input.name == TextExecutor.inputName || input.name == TextExecutor.pairName
            else {
                throw ServingError(
                    .invalidArgument,
                    "unexpected inference input '\(input.name)' for model '\(model)'")
            }
            guard input.tensor.elementType == .bytes else {
                throw ServingError(
                    .invalidArgument,
                    "inference input '\(input.name)' data-type is "
                        + "'\(input.tensor.elementType.protocolName ?? "unknown")', but model "
                        + "'\(model)' expects 'BYTES'")
            }
            let shape = input.tensor.shape
            guard shape.rank == 1 || shape.rank == 2 && shape[1] == 1 else {
                throw ServingError(
                    .invalidArgument,
                    "unexpected shape for input '\(input.name)' for model '\(model)'. Expected "
                        + "[-1], got \(shape)")
            }
        }
        guard let texts = request.inputs.first(where: { $0.name == TextExecutor.inputName }) else {
            throw ServingError(
                .invalidArgument, "model '\(model)' needs the input '\(TextExecutor.inputName)'")
        }
        let pairs = request.inputs.first { $0.name == TextExecutor.pairName }
        if let pairs, pairs.tensor.shape.first != texts.tensor.shape.first {
            throw ServingError(
                .invalidArgument,
                "input '\(TextExecutor.pairName)' batch size does not match other inputs for "
                    + "'\(model)'")
        }
        return (texts.tensor, pairs?.tensor)
    }

    private func respond(
        _ request: InferenceRequest, _ rows: TextRows, shape: Shape
    ) -> Result<InferenceResponse, ServingError> {
        let storage = TensorStorage(byteCount: rows.values.count * 4)
        unsafe rows.values.withUnsafeBytes { unsafe storage.mutableBytes.copyMemory(from: $0) }
        do {
            var tensor = try Tensor(elementType: .float32, shape: shape, storage: storage)
            if let count = request.outputs.first?.classification {
                var labels: [String] = []
                if case .classifier(let names) = encoder.kind { labels = names }
                tensor = try Classification.topK(
                    tensor, count: count, isBatched: true, labels: labels)
            }
            return .success(
                InferenceResponse(
                    model: model, version: version, id: request.id,
                    outputs: [NamedTensor(name: outputName, tensor: tensor)]))
        } catch {
            return .failure(ServingError(failure: error))
        }
    }
}

extension TextRows {
    /// The first `width` numbers of each row, scaled to length 1 again when some were left out.
    func leading(_ width: Int) -> [Float] {
        guard width < self.width else { return values }
        var kept: [Float] = []
        kept.reserveCapacity(count * width)
        for row in 0..<count {
            let part = values[row * self.width..<row * self.width + width]
            let length = part.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
            kept.append(contentsOf: part.map { length > 0 ? $0 / length : $0 })
        }
        return kept
    }
}

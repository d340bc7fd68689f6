// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import MartletTensor

/// Answers tensor requests with one batcher: binds inputs by name, picks and names outputs.
package final class TensorExecutor: ModelExecutor {
    private let model: String
    private let version: String
    private let signature: ServedSignature
    private let labels: [String: [String]]
    private let batcher: Batcher

    /// - Parameter labels: by output name.
    package init(
        model: String, version: String, signature: ServedSignature, labels: [String: [String]],
        batcher: Batcher
    ) {
        self.model = model
        self.version = version
        self.signature = signature
        self.labels = labels
        self.batcher = batcher
    }

    package func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping ModelHost.InferenceCompletion
    ) -> Bool {
        let item: BatchItem
        do throws(ServingError) {
            try checkOutputs(request.outputs)
            let bound = try signature.bind(request.inputs, model: model)
            item = BatchItem(
                inputs: bound.tensors,
                claim: BatcherState.Claim(
                    rows: bound.rows, key: bound.key, priority: request.priority,
                    timeout: request.queueTimeout, deadline: request.deadline,
                    inputBytes: bound.tensors.reduce(0) { $0 + $1.byteCount },
                    allowsInlineRun: request.allowsInlineRun,
                    prefersInlineRun: request.prefersInlineRun),
                context: request.context
            ) { [self, id = request.id, outputs = request.outputs] answer, _ in
                switch answer {
                case .success(let tensors): completion(respond(id, outputs, tensors))
                case .failure(let error): completion(.failure(error))
                }
            }
        } catch {
            completion(.failure(error))
            return true
        }
        return batcher.submit(item, cancellation: cancellation)
    }

    package func close(onDrained: @escaping @Sendable () -> Void) {
        batcher.close(onDrained: onDrained)
    }

    private func checkOutputs(_ requested: [RequestedOutput]) throws(ServingError) {
        for output in requested where port(named: output.name) == nil {
            throw ServingError(
                .invalidArgument,
                "unexpected inference output '\(output.name)' for model '\(model)'")
        }
    }

    private func port(named name: String) -> Int? {
        signature.outputs.firstIndex { $0?.name == name }
    }

    private func respond(
        _ id: String, _ requested: [RequestedOutput], _ tensors: [Tensor]
    ) -> Result<InferenceResponse, ServingError> {
        do throws(ServingError) {
            guard tensors.count == signature.outputs.count else {
                throw ServingError(
                    .internal,
                    "model '\(model)' answered \(tensors.count) outputs instead of "
                        + "\(signature.outputs.count)")
            }
            var outputs: [NamedTensor] = []
            if requested.isEmpty {
                outputs.reserveCapacity(tensors.count)
                for (position, port) in signature.outputs.enumerated() {
                    guard let port else { continue }
                    outputs.append(
                        NamedTensor(
                            name: port.name,
                            tensor: try signature.clientView(tensors[position], port)))
                }
            } else {
                outputs.reserveCapacity(requested.count)
                for wanted in requested {
                    outputs.append(try answer(wanted, tensors))
                }
            }
            return .success(
                InferenceResponse(
                    model: model, version: version, id: id, outputs: outputs))
        } catch {
            return .failure(error)
        }
    }

    private func answer(
        _ wanted: RequestedOutput, _ tensors: [Tensor]
    ) throws(ServingError) -> NamedTensor {
        guard let position = port(named: wanted.name), let port = signature.outputs[position]
        else {
            throw ServingError(
                .invalidArgument,
                "unexpected inference output '\(wanted.name)' for model '\(model)'")
        }
        let tensor = try signature.clientView(tensors[position], port)
        guard let count = wanted.classification else {
            return NamedTensor(name: port.name, tensor: tensor)
        }
        return NamedTensor(
            name: port.name,
            tensor: try Classification.topK(
                tensor, count: count, isBatched: signature.isBatched,
                labels: labels[port.name] ?? []))
    }
}

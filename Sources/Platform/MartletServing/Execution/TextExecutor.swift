// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import MartletTensor
internal import MartletTokenizers
internal import ServiceContextModule

/// Answers text requests with an encoder: embeddings, ranking, and tensor requests with BYTES.
///
/// Texts are encoded on worker threads, grouped by similar length into batch items of at most the
/// model's batch size, and joined with other requests' texts by the batcher.
final class TextExecutor: ModelExecutor {
    /// Texts in one request; more is refused.
    static let textCountMax = 8192

    enum Source: Sendable {
        case text(String)
        case pair(String, String)
        case tokens([Int])
    }

    let model: String
    let version: String
    let encoder: TextEncoder
    private let rowsMax: Int
    private let batcher: Batcher
    private let workers: WorkerPool
    private let tracing: TracingBackend
    private let gate = ExecutorGate()

    init(
        model: String, version: String, encoder: TextEncoder, rowsMax: Int, batcher: Batcher,
        workers: WorkerPool, tracing: TracingBackend = .current
    ) {
        self.model = model
        self.version = version
        self.encoder = encoder
        self.rowsMax = max(1, rowsMax)
        self.batcher = batcher
        self.workers = workers
        self.tracing = tracing
    }

    func close(onDrained: @escaping @Sendable () -> Void) {
        gate.close { [batcher] in batcher.close(onDrained: onDrained) }
    }

    /// How a group of texts is to be queued.
    struct Claim: Sendable {
        var truncates = true
        var priority: UInt64 = 0
        var timeout: Duration?
        var deadline: MonotonicInstant?
        var context: ServiceContext
    }

    /// Encodes the texts on a worker and runs them; answers rows in the texts' order.
    /// - Returns: false when closed.
    func run(
        _ claim: Claim, cancellation: Cancellation,
        texts: @escaping @Sendable () throws(ServingError) -> [Source],
        completion: @escaping @Sendable (Result<TextRows, ServingError>) -> Void
    ) -> Bool {
        guard gate.enter() else { return false }
        let answer: @Sendable (Result<TextRows, ServingError>) -> Void = { [gate] result in
            completion(result)
            gate.leave()
        }
        let isTaken = workers.submit { [self] in
            do {
                try check(cancellation)
                let encodings = try tracing.withSpan("tokenize", claim.context) {
                    try encode(
                        try texts(), truncates: claim.truncates, cancellation: cancellation)
                }
                queue(encodings, claim, cancellation: cancellation, completion: answer)
            } catch {
                answer(.failure(ServingError(failure: error)))
            }
        }
        if !isTaken {
            answer(
                .failure(
                    ServingError(
                        .unavailable, "model '\(model)': too many texts wait to be encoded",
                        retryAfter: .seconds(1))))
        }
        return true
    }

    private func check(_ cancellation: Cancellation) throws(ServingError) {
        guard cancellation.isCancelled else { return }
        throw ServingError(.cancelled, "model '\(model)': the request was cancelled")
    }

    private func encode(
        _ sources: [Source], truncates: Bool, cancellation: Cancellation
    ) throws(ServingError) -> [Encoding] {
        guard !sources.isEmpty else {
            throw ServingError(.invalidArgument, "model '\(model)': there is no text to encode")
        }
        guard sources.count <= TextExecutor.textCountMax else {
            throw ServingError(
                .payloadTooLarge,
                "model '\(model)': \(sources.count) texts, at most \(TextExecutor.textCountMax)")
        }
        var encodings: [Encoding] = []
        encodings.reserveCapacity(sources.count)
        for source in sources {
            // Nobody may wait any more; one text may be long.
            try check(cancellation)
            do throws(LanguageError) {
                switch source {
                case .text(let text):
                    encodings.append(try encoder.encode(text, truncates: truncates))
                case .pair(let first, let second):
                    encodings.append(
                        try encoder.encode(first, pair: second, truncates: truncates))
                case .tokens(let tokens):
                    encodings.append(try encoder.encode(tokens: tokens, truncates: truncates))
                }
            } catch {
                throw ServingError(failure: error)
            }
        }
        return encodings
    }

    /// Puts the encodings into the batcher, similar lengths together.
    private func queue(
        _ encodings: [Encoding], _ claim: Claim, cancellation: Cancellation,
        completion: @escaping @Sendable (Result<TextRows, ServingError>) -> Void
    ) {
        let order = encodings.indices.sorted {
            (encodings[$0].count, $0) < (encodings[$1].count, $1)
        }
        var groups: [[Int]] = []
        for index in order {
            if let last = groups.last, last.count < rowsMax,
                lengthClass(encodings[last[0]]) == lengthClass(encodings[index])
            {
                groups[groups.count - 1].append(index)
            } else {
                groups.append([index])
            }
        }
        let rows = TextRowsGathering(
            count: encodings.count, width: encoder.outputSize,
            tokenCount: encodings.reduce(0) { $0 + $1.count }, groups: groups.count,
            completion: completion)
        for group in groups {
            var key = BatchKey()
            key.append(lengthClass(encodings[group[0]]))
            let item = BatchItem(
                encodings: group.map { encodings[$0] },
                claim: BatcherState.Claim(
                    rows: group.count, key: key, priority: claim.priority, timeout: claim.timeout,
                    deadline: claim.deadline),
                context: claim.context
            ) { answer, _ in
                rows.take(answer.result.map { $0[0] }, for: group)
            }
            if !batcher.submit(item, cancellation: cancellation) {
                rows.take(
                    .failure(ServingError(BatchRefusal.closed, model: model)), for: group)
            }
        }
    }

    /// Texts whose lengths share a class may share a batch: padding at most doubles one.
    private func lengthClass(_ encoding: Encoding) -> Int {
        var size = 32
        while size < encoding.count { size *= 2 }
        return size
    }
}

/// One row of floats per text.
struct TextRows: Sendable {
    var values: [Float]
    var width: Int
    var count: Int
    var tokenCount: Int
}

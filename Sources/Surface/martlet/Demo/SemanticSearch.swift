// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Finds passages by meaning: cosine of embeddings that the server computes.
struct SemanticSearch {
    struct Hit {
        let passage: Passage
        let score: String
    }

    private static let batchSize = 32

    private let client: LoopbackClient
    private let model: String
    private let passages: [Passage]
    private let vectors: [[Double]]
    let summary: String

    init(client: LoopbackClient, model: String, passages: [Passage]) throws {
        self.client = client
        self.model = model
        self.passages = passages
        let clock = ContinuousClock()
        let started = clock.now
        var vectors: [[Double]] = []
        for start in stride(from: 0, to: passages.count, by: SemanticSearch.batchSize) {
            let batch = passages[start..<min(start + SemanticSearch.batchSize, passages.count)]
            vectors += try SemanticSearch.embed(batch.map(\.text), model: model, client: client)
        }
        self.vectors = vectors
        let took = started.duration(to: clock.now)
        let milliseconds = Int(took / .milliseconds(1))
        summary = "embedded with \(model) in \(milliseconds) ms"
    }

    /// The passages nearest in meaning, best first.
    func best(for query: String, count: Int) throws -> [Hit] {
        let wanted = try SemanticSearch.embed([query], model: model, client: client)
        guard let vector = wanted.first else { return [] }
        let scores = vectors.map { SemanticSearch.cosine($0, vector) }
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        return order.prefix(count).map { index in
            let percent = Int((scores[index] * 100).rounded())
            return Hit(
                passage: passages[index], score: "0." + (percent < 10 ? "0" : "") + "\(percent)")
        }
    }

    private static func embed(
        _ texts: [String], model: String, client: LoopbackClient
    ) throws -> [[Double]] {
        let request: JSONValue = [
            "model": .string(model), "input": .array(texts.map(JSONValue.string)),
        ]
        let answer = try client.post(
            "/v1/embeddings", headers: ["Content-Type": "application/json"],
            body: request.serialized())
        let rows = try JSONValue(parsing: answer.body)["data"]?.arrayValue ?? []
        let vectors = rows.map { $0["embedding"]?.arrayValue?.compactMap(\.doubleValue) ?? [] }
        guard vectors.count == texts.count, vectors.allSatisfy({ !$0.isEmpty }) else {
            throw LoopbackClient.Failure(description: "embeddings are missing from the answer")
        }
        return vectors
    }

    private static func cosine(_ left: [Double], _ right: [Double]) -> Double {
        var dot = 0.0
        var leftSquare = 0.0
        var rightSquare = 0.0
        for (a, b) in zip(left, right) {
            dot += a * b
            leftSquare += a * a
            rightSquare += b * b
        }
        let length = (leftSquare * rightSquare).squareRoot()
        return length > 0 ? max(0, min(0.99, dot / length)) : 0
    }
}

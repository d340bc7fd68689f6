// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import MartletJSON

/// How questions of the same meaning are answered from memory.
package struct SemanticCachePolicy: Sendable, Hashable {
    /// What the embedding model is called at its upstream.
    package var model: String
    /// The least cosine of two questions that count as one.
    package var threshold = 0.95
    package var entriesMax = 1_024
    package var bytesMax = 16 << 20
    package var ttl: Duration = .seconds(3_600)
    /// Without an embedding by then, the model is asked.
    package var timeout: Duration = .milliseconds(250)

    package init(model: String) { self.model = model }
}

/// A request as a semantic cache sees it: the question, and everything else.
package struct SemanticQuestion: Sendable, Hashable {
    package static let textBytesMax = 8 << 10
    /// The last user message.
    package let text: String
    /// All that must be the same, letter by letter: earlier messages, parameters, who may see it.
    package let context: [UInt8]

    /// Nil for requests that are not answered from memory: no chat or completion, a question that
    /// is no text or too long, or several answers asked for.
    package init?(body: [UInt8], path: String, holder: String) {
        guard var object = (try? JSONValue(parsing: body))?.objectValue else { return nil }
        if let count = object["n"], count != 1, !count.isNull { return nil }
        var question: String?
        if path.hasSuffix("/chat/completions") {
            guard var messages = object["messages"]?.arrayValue,
                var last = messages.last?.objectValue, last["role"] == "user"
            else { return nil }
            question = last["content"]?.stringValue
            last["content"] = .null
            messages[messages.count - 1] = .object(last)
            object["messages"] = .array(messages)
        } else if path.hasSuffix("/completions") {
            question = object["prompt"]?.stringValue
            object["prompt"] = .null
        }
        guard let question, !question.isEmpty,
            question.utf8.count <= SemanticQuestion.textBytesMax
        else { return nil }
        // Members in one order: clients write them in any.
        var sorted = JSONObject()
        for key in object.keys.sorted() { sorted[key] = object[key] }
        text = question
        context =
            Array("\(holder.utf8.count) \(holder) \(path)\n".utf8)
            + JSONValue.object(sorted).serialized()
    }

    /// The request for the question's embedding.
    package func embeddingRequest(model: String) -> [UInt8] {
        let body: JSONValue = [
            "model": .string(model), "input": .string(text), "encoding_format": "float",
        ]
        return body.serialized()
    }

    /// The direction of the embedding in an answer, of length 1; nil when there is none.
    package static func direction(_ answer: ComparedAnswer) -> [Float]? {
        guard answer.status == 200,
            let values = AnswerDocument(answer).tensors.first?.values,
            (1...16_384).contains(values.count)
        else { return nil }
        let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard length > 0, length.isFinite else { return nil }
        return values.map { Float($0 / length) }
    }
}

/// Answers by the meaning of their questions.
///
/// A question finds an answer when everything else of its request is the same, compared whole, and
/// the embeddings' cosine reaches the threshold. A search looks at all entries: O(entries ·
/// dimensions), within a bound. The oldest go first.
package struct SemanticIndex: Sendable {
    package struct Kept: Sendable, Hashable {
        package var isEventStream: Bool
        package var body: [UInt8]

        package init(isEventStream: Bool, body: [UInt8]) {
            self.isEventStream = isEventStream
            self.body = body
        }
    }

    private struct Entry {
        var context: [UInt8]
        var direction: [Float]
        var kept: Kept
        var at: MonotonicInstant
        var bytes: Int { context.count + direction.count * 4 + kept.body.count }
    }

    package let policy: SemanticCachePolicy
    private var entries: [Entry] = []
    package private(set) var bytes = 0

    package init(policy: SemanticCachePolicy) { self.policy = policy }

    package var count: Int { entries.count }

    package func find(
        _ context: [UInt8], _ direction: [Float], at now: MonotonicInstant
    ) -> (kept: Kept, cosine: Double)? {
        var best: (place: Int, cosine: Double)?
        for (place, entry) in entries.enumerated()
        where entry.direction.count == direction.count && entry.context == context
            && entry.at.duration(to: now) <= policy.ttl
        {
            var sum: Float = 0
            for index in direction.indices { sum += direction[index] * entry.direction[index] }
            let cosine = Double(sum)
            if cosine >= policy.threshold, cosine > best?.cosine ?? -2 { best = (place, cosine) }
        }
        return best.map { (entries[$0.place].kept, min($0.cosine, 1)) }
    }

    package mutating func keep(
        _ kept: Kept, _ context: [UInt8], _ direction: [Float], at now: MonotonicInstant
    ) {
        let entry = Entry(context: context, direction: direction, kept: kept, at: now)
        guard entry.bytes <= policy.bytesMax else { return }
        // The same question again: its newest answer counts.
        if let same = entries.firstIndex(where: {
            $0.context == context && $0.direction == direction
        }) {
            bytes -= entries.remove(at: same).bytes
        }
        var gone = 0
        var left = bytes
        while gone < entries.count,
            entries.count - gone >= policy.entriesMax || left + entry.bytes > policy.bytesMax
                || entries[gone].at.duration(to: now) > policy.ttl
        {
            left -= entries[gone].bytes
            gone += 1
        }
        entries.removeFirst(gone)
        bytes = left + entry.bytes
        entries.append(entry)
    }
}

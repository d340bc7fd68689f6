// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import ServiceContextModule

/// `/v1/rerank` in and out: the fields that Cohere's and Jina's clients share.
enum RerankCoding {
    /// How the client wants its answer.
    struct Wish {
        var count: Int?
        var returnsDocuments = false
    }

    private static let documentCountMax = 1_024

    /// - Returns: the request, without a model's name where it has none.
    static func decode(
        _ body: HTTPBody, context: ServiceContext
    ) throws -> (RerankRequest, Wish) {
        var scanner = unsafe JSONScanner(body.bytes)
        var model: String?
        var query: String?
        var documents: [String]?
        var wish = Wish()
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            if key == "model" {
                model = try EmbeddingCoding.field("model", "a string") { () throws(JSONError) in
                    try scanner.readString()
                }
            } else if key == "query" {
                query = try EmbeddingCoding.field("query", "a string") { () throws(JSONError) in
                    try scanner.readString()
                }
            } else if key == "documents" {
                documents = try readDocuments(&scanner)
            } else if key == "top_n" {
                if try scanner.skipNull() { continue }
                wish.count = try EmbeddingCoding.field("top_n", "a whole number") {
                    () throws(JSONError) in try scanner.readInt()
                }
            } else if key == "return_documents" {
                if try scanner.skipNull() { continue }
                wish.returnsDocuments = try EmbeddingCoding.field(
                    "return_documents", "true or false"
                ) { () throws(JSONError) in try scanner.readBool() }
            } else {
                try scanner.skipValue()
            }
        }
        try scanner.finish()
        guard let query else { throw EmbeddingCoding.missing("query") }
        guard let documents, !documents.isEmpty else {
            throw EmbeddingCoding.missing("documents")
        }
        if let count = wish.count, count < 1 {
            throw OpenAIError.invalid("top_n must be at least 1", parameter: "top_n")
        }
        let decoded = RerankRequest(
            model: model ?? "", query: query, documents: documents, context: context)
        return (decoded, wish)
    }

    /// Strings, or objects with a `text`.
    private static func readDocuments(_ scanner: inout JSONScanner) throws -> [String] {
        func wrong() -> OpenAIError {
            OpenAIError.invalid(
                "'documents' must be a list of strings or of objects with a 'text'",
                parameter: "documents")
        }
        guard try scanner.peek() == .array else { throw wrong() }
        var documents: [String] = []
        try scanner.beginArray()
        while try scanner.nextElement() {
            guard documents.count < documentCountMax else {
                throw OpenAIError.invalid(
                    "'documents' has more than \(documentCountMax) elements",
                    parameter: "documents")
            }
            switch try scanner.peek() {
            case .string: documents.append(try scanner.readString())
            case .object:
                guard let text = try scanner.readValue()["text"]?.stringValue else {
                    throw wrong()
                }
                documents.append(text)
            default: throw wrong()
            }
        }
        return documents
    }

    /// The best first; documents of equal score in the order they were sent.
    static func encode(
        _ response: RerankResponse, _ documents: [String], _ wish: Wish
    ) -> [UInt8] {
        let order = response.scores.indices.sorted { left, right in
            let (first, second) = (response.scores[left], response.scores[right])
            return first == second ? left < right : first > second
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("model")
        writer.string(response.model)
        writer.key("results")
        writer.beginArray()
        for index in order.prefix(wish.count ?? order.count) {
            writer.beginObject()
            writer.key("index")
            writer.integer(index)
            writer.key("relevance_score")
            writer.number(response.scores[index])
            if wish.returnsDocuments, index < documents.count {
                writer.key("document")
                writer.beginObject()
                writer.key("text")
                writer.string(documents[index])
                writer.endObject()
            }
            writer.endObject()
        }
        writer.endArray()
        writer.usage(promptTokens: response.promptTokens)
        writer.endObject()
        return writer.bytes
    }
}

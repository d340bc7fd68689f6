// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
public import ServiceContextModule

/// One text of an embedding request.
public enum TextInput: Sendable, Hashable {
    case text(String)
    case tokens([Int])
}

/// Texts to be turned into vectors.
public struct EmbeddingRequest: Sendable {
    public var model: String
    public var inputs: [TextInput]
    /// Keep this many leading dimensions and normalise again; nil keeps all.
    public var dimensions: Int?
    /// Cut texts longer than the model's context instead of refusing them.
    public var truncates: Bool
    public var deadline: MonotonicInstant?
    public var context: ServiceContext

    public init(
        model: String, inputs: [TextInput], dimensions: Int? = nil, truncates: Bool = true,
        deadline: MonotonicInstant? = nil, context: ServiceContext = .topLevel
    ) {
        self.model = model
        self.inputs = inputs
        self.dimensions = dimensions
        self.truncates = truncates
        self.deadline = deadline
        self.context = context
    }
}

/// Vectors in the order of the inputs, row-major.
public struct EmbeddingResponse: Sendable {
    public var model: String
    /// `count × dimensions` floats.
    public var vectors: [Float]
    public var dimensions: Int
    public var promptTokens: Int

    public init(model: String, vectors: [Float], dimensions: Int, promptTokens: Int) {
        self.model = model
        self.vectors = vectors
        self.dimensions = dimensions
        self.promptTokens = promptTokens
    }
}

/// Documents to be ordered by a cross-encoder's relevance to a query.
public struct RerankRequest: Sendable {
    public var model: String
    public var query: String
    public var documents: [String]
    public var deadline: MonotonicInstant?
    public var context: ServiceContext

    public init(
        model: String, query: String, documents: [String], deadline: MonotonicInstant? = nil,
        context: ServiceContext = .topLevel
    ) {
        self.model = model
        self.query = query
        self.documents = documents
        self.deadline = deadline
        self.context = context
    }
}

/// One relevance score per document, in the documents' order.
public struct RerankResponse: Sendable {
    public var model: String
    public var scores: [Float]
    public var promptTokens: Int

    public init(model: String, scores: [Float], promptTokens: Int) {
        self.model = model
        self.scores = scores
        self.promptTokens = promptTokens
    }
}

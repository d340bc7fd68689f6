// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import ServiceContextModule

/// `/v1/embeddings` in and out.
enum EmbeddingCoding {
    enum Encoding: String {
        case float
        case base64
    }

    /// As many texts as OpenAI takes in one request.
    private static let inputCountMax = 2_048
    private static let tokenCountMax = 1 << 20

    /// - Returns: the request, without a model's name where it has none.
    static func decode(
        _ body: HTTPBody, context: ServiceContext
    ) throws -> (EmbeddingRequest, Encoding) {
        var scanner = unsafe JSONScanner(body.bytes)
        var model: String?
        var inputs: [TextInput]?
        var encoding = Encoding.float
        var dimensions: Int?
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            if key == "input" {
                inputs = try readInputs(&scanner)
            } else if key == "model" {
                model = try field("model", "a string") { () throws(JSONError) in
                    try scanner.readString()
                }
            } else if key == "encoding_format" {
                if try scanner.skipNull() { continue }
                let name = try field("encoding_format", "a string") { () throws(JSONError) in
                    try scanner.readString()
                }
                guard let known = Encoding(rawValue: name) else {
                    throw OpenAIError.invalid(
                        "encoding_format must be 'float' or 'base64', got '\(name)'",
                        parameter: "encoding_format")
                }
                encoding = known
            } else if key == "dimensions" {
                if try scanner.skipNull() { continue }
                dimensions = try field("dimensions", "a whole number") { () throws(JSONError) in
                    try scanner.readInt()
                }
            } else {
                try scanner.skipValue()
            }
        }
        try scanner.finish()
        guard let inputs else { throw missing("input") }
        if let dimensions, dimensions < 1 {
            throw OpenAIError.invalid("dimensions must be at least 1", parameter: "dimensions")
        }
        let decoded = EmbeddingRequest(
            model: model ?? "", inputs: inputs, dimensions: dimensions, context: context)
        return (decoded, encoding)
    }

    static func missing(_ name: String) -> OpenAIError {
        OpenAIError.invalid("you must provide '\(name)'", parameter: name)
    }

    /// Runs a read whose type errors are laid at a field's door.
    static func field<Value>(
        _ name: String, _ expected: String, _ read: () throws(JSONError) -> Value
    ) throws -> Value {
        let outcome = Result { () throws(JSONError) in try read() }
        switch outcome {
        case .success(let value): return value
        case .failure(let error):
            guard error.code == .typeMismatch || error.code == .outOfRange else { throw error }
            throw OpenAIError.invalid("'\(name)' must be \(expected)", parameter: name)
        }
    }

    /// A string, a list of strings, a list of tokens or a list of such lists.
    private static func readInputs(_ scanner: inout JSONScanner) throws -> [TextInput] {
        let expected = "a string, a list of strings, a list of tokens or a list of such lists"
        func wrong() -> OpenAIError {
            OpenAIError.invalid("'input' must be \(expected)", parameter: "input")
        }
        switch try scanner.peek() {
        case .string: return [try text(&scanner)]
        case .array: break
        default: throw wrong()
        }
        var inputs: [TextInput] = []
        var tokens: [Int] = []
        var first: JSONKind?
        try scanner.beginArray()
        while try scanner.nextElement() {
            guard inputs.count < inputCountMax else {
                throw OpenAIError.invalid(
                    "'input' has more than \(inputCountMax) elements", parameter: "input")
            }
            let kind = try scanner.peek()
            guard kind == first ?? kind else { throw wrong() }
            first = kind
            switch kind {
            case .string: inputs.append(try text(&scanner))
            case .array: inputs.append(.tokens(try readTokens(&scanner)))
            case .number: try append(&scanner, to: &tokens)
            default: throw wrong()
            }
        }
        if !tokens.isEmpty { return [.tokens(tokens)] }
        guard !inputs.isEmpty else {
            throw OpenAIError.invalid("'input' must not be empty", parameter: "input")
        }
        return inputs
    }

    private static func text(_ scanner: inout JSONScanner) throws -> TextInput {
        let text = try scanner.readString()
        guard !text.isEmpty else {
            throw OpenAIError.invalid(
                "'input' must not have an empty string", parameter: "input")
        }
        return .text(text)
    }

    private static func readTokens(_ scanner: inout JSONScanner) throws -> [Int] {
        var tokens: [Int] = []
        try scanner.beginArray()
        while try scanner.nextElement() { try append(&scanner, to: &tokens) }
        guard !tokens.isEmpty else {
            throw OpenAIError.invalid(
                "'input' must not have an empty list of tokens", parameter: "input")
        }
        return tokens
    }

    private static func append(_ scanner: inout JSONScanner, to tokens: inout [Int]) throws {
        let token = try field("input", "made of whole tokens") { () throws(JSONError) in
            try scanner.readInt()
        }
        guard token >= 0, tokens.count < tokenCountMax else {
            throw OpenAIError.invalid(
                "'input' has a negative token or more than \(tokenCountMax)", parameter: "input")
        }
        tokens.append(token)
    }

    // MARK: Answering

    static func encode(_ response: EmbeddingResponse, _ encoding: Encoding) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("object")
        writer.string("list")
        writer.key("data")
        writer.beginArray()
        let width = max(response.dimensions, 1)
        unsafe response.vectors.withUnsafeBytes { vectors in
            let rowBytes = width * MemoryLayout<Float>.stride
            for row in 0..<response.vectors.count / width {
                let bytes = unsafe UnsafeRawBufferPointer(
                    rebasing: vectors[row * rowBytes..<(row + 1) * rowBytes])
                writer.beginObject()
                writer.key("object")
                writer.string("embedding")
                writer.key("index")
                writer.integer(row)
                writer.key("embedding")
                switch encoding {
                case .float: unsafe writer.numbers(bytes, as: .float32)
                case .base64: writer.string(unsafe Base64.encode(bytes))
                }
                writer.endObject()
            }
        }
        writer.endArray()
        writer.key("model")
        writer.string(response.model)
        writer.usage(promptTokens: response.promptTokens)
        writer.endObject()
        return writer.bytes
    }
}

extension JSONScanner {
    /// Steps over a null; false, and nothing read, when something else comes.
    mutating func skipNull() throws(JSONError) -> Bool {
        guard try peek() == .null else { return false }
        try readNull()
        return true
    }
}

extension JSONWriter {
    /// The tokens that a request took.
    mutating func usage(promptTokens: Int) {
        key("usage")
        beginObject()
        key("prompt_tokens")
        integer(promptTokens)
        key("total_tokens")
        integer(promptTokens)
        endObject()
    }
}

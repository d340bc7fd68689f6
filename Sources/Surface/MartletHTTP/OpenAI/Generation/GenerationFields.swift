// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing
internal import ServiceContextModule

/// The members of a generation request, read with the name of whatever is wrong.
struct GenerationFields: Sendable {
    private(set) var object: JSONObject

    /// - Throws: `JSONError`, `OpenAIError`.
    init(_ body: HTTPBody) throws {
        guard case .object(let object) = try unsafe JSONValue(parsing: body.bytes) else {
            throw OpenAIError.invalid("the request must be a JSON object", parameter: nil)
        }
        self.object = object
    }

    init(_ object: JSONObject) { self.object = object }

    /// Nil for what is absent or null.
    func value(_ name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    func wrong(_ name: String, _ expected: String) -> OpenAIError {
        OpenAIError.invalid("'\(name)' must be \(expected)", parameter: name)
    }

    func string(_ name: String) throws(OpenAIError) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.stringValue else { throw wrong(name, "a string") }
        return text
    }

    func flag(_ name: String) throws(OpenAIError) -> Bool {
        guard let value = value(name) else { return false }
        guard let flag = value.boolValue else { throw wrong(name, "a boolean") }
        return flag
    }

    func integer(_ name: String) throws(OpenAIError) -> Int? {
        guard let value = value(name) else { return nil }
        guard let number = value.intValue else { throw wrong(name, "a whole number") }
        return number
    }

    func number(_ name: String) throws(OpenAIError) -> Double? {
        guard let value = value(name) else { return nil }
        guard let number = value.doubleValue else { throw wrong(name, "a number") }
        return number
    }

    /// Names a model where the request names none.
    mutating func setModel(_ name: String) { object["model"] = .string(name) }

    func model() throws -> String {
        guard let model = try string("model"), !model.isEmpty else {
            throw EmbeddingCoding.missing("model")
        }
        return model
    }

    // MARK: Options

    /// What all forms of generation share.
    /// - Parameter defaults: what the model's makers sample with.
    func options(
        _ defaults: SamplingOptions, tokensMax names: [String] = ["max_tokens"]
    ) throws(OpenAIError) -> GenerationOptions {
        var options = GenerationOptions()
        options.sampling = try sampling(defaults)
        for name in names {
            guard let most = try integer(name) else { continue }
            guard most >= 0 else { throw wrong(name, "at least 0") }
            options.tokensMax = most
            break
        }
        options.tokensMin = try integer("min_tokens") ?? 0
        options.samples = try integer("n") ?? 1
        guard options.samples >= 1 else { throw wrong("n", "at least 1") }
        try readSearch(&options)
        options.stops = try stops("stop")
        for value in try list("stop_token_ids") ?? [] {
            guard let token = value.intValue.flatMap(Int32.init(exactly:)) else {
                throw wrong("stop_token_ids", "a list of whole numbers")
            }
            options.stopTokens.append(token)
        }
        options.ignoresEnd = try flag("ignore_eos")
        options.includesStop = try flag("include_stop_str_in_output")
        if value("skip_special_tokens") != nil {
            options.skipsSpecialTokens = try flag("skip_special_tokens")
        }
        options.priority = try integer("priority") ?? 0
        options.tenant = try string("user") ?? ""
        options.cacheSalt = try string("cache_salt") ?? ""
        if let fault = options.fault {
            throw OpenAIError.invalid("'\(fault.field)' \(fault.message)", parameter: fault.field)
        }
        return options
    }

    /// `best_of`, and vLLM's beam search.
    private func readSearch(_ options: inout GenerationOptions) throws(OpenAIError) {
        options.bestOf = try integer("best_of")
        guard try flag("use_beam_search") else { return }
        options.beamWidth = max(options.bestOf ?? options.samples, options.samples)
        options.lengthPenalty = try number("length_penalty") ?? 1
        // The model's own is passed over; one that was asked for would be missed.
        if let penalty = try number("repetition_penalty"), penalty != 1 {
            throw OpenAIError.invalid(
                "'repetition_penalty' is not supported with beam search",
                parameter: "repetition_penalty")
        }
        options.bestOf = nil
    }

    private func sampling(_ defaults: SamplingOptions) throws(OpenAIError) -> SamplingOptions {
        var sampling = defaults
        sampling.temperature = try number("temperature") ?? sampling.temperature
        sampling.topP = try number("top_p") ?? sampling.topP
        // -1 stands for all, as 0 does.
        sampling.topK = try integer("top_k").map { $0 == -1 ? 0 : $0 } ?? sampling.topK
        sampling.minP = try number("min_p") ?? sampling.minP
        sampling.typicalP = try number("typical_p") ?? sampling.typicalP
        sampling.repetitionPenalty =
            try number("repetition_penalty") ?? sampling.repetitionPenalty
        sampling.frequencyPenalty = try number("frequency_penalty") ?? 0
        sampling.presencePenalty = try number("presence_penalty") ?? 0
        sampling.seed = try integer("seed").map { UInt64(bitPattern: Int64($0)) }
        if let bias = value("logit_bias") {
            guard let members = bias.objectValue else { throw wrong("logit_bias", "an object") }
            for (key, value) in members {
                guard let token = Int32(key), token >= 0, let amount = value.doubleValue else {
                    throw wrong("logit_bias", "an object of numbers by token")
                }
                sampling.logitBias[token] = Float(amount)
            }
        }
        return sampling
    }

    func list(_ name: String) throws(OpenAIError) -> [JSONValue]? {
        guard let value = value(name) else { return nil }
        guard let list = value.arrayValue else { throw wrong(name, "a list") }
        return list
    }

    func stops(_ name: String) throws(OpenAIError) -> [String] {
        guard let value = value(name) else { return [] }
        if let stop = value.stringValue { return [stop] }
        let stops = value.arrayValue?.compactMap(\.stringValue)
        guard let stops, stops.count == value.arrayValue?.count else {
            throw wrong(name, "a string or a list of strings")
        }
        return stops
    }

    /// Whether the usage is wanted at the end of a stream.
    func includesUsage() throws(OpenAIError) -> Bool {
        guard let options = value("stream_options") else { return false }
        guard let members = options.objectValue else { throw wrong("stream_options", "an object") }
        return try GenerationFields(members).flag("include_usage")
    }

    /// `response_format`, or one of the forms that vLLM's clients send.
    func format() throws(OpenAIError) -> AnswerFormat {
        if let wish = value("structured_outputs") ?? value("guided_decoding") {
            guard let members = wish.objectValue else {
                throw wrong("structured_outputs", "an object")
            }
            return try GenerationFields(members).structured(prefix: "") ?? .text
        }
        if let format = try structured(prefix: "guided_") { return format }
        // llama.cpp's server has this member at the top.
        if let grammar = try string("grammar") { return .grammar(grammar) }
        guard let wish = value("response_format") else { return .text }
        switch wish["type"]?.stringValue {
        case "text": return .text
        case "json_object": return .json
        case "json_schema":
            guard let schema = wish["json_schema"]?["schema"] ?? wish["schema"] else {
                throw wrong("response_format", "a json_schema with a schema")
            }
            return .schema(schema)
        default:
            throw wrong("response_format", "of the type text, json_object or json_schema")
        }
    }

    private func structured(prefix: String) throws(OpenAIError) -> AnswerFormat? {
        if let schema = value(prefix + "json") {
            guard let text = schema.stringValue else { return .schema(schema) }
            guard let parsed = try? JSONValue(parsing: text) else {
                throw wrong(prefix + "json", "a schema")
            }
            return .schema(parsed)
        }
        if let pattern = try string(prefix + "regex") { return .regex(pattern) }
        if let choices = try list(prefix + "choice") {
            let texts = choices.compactMap(\.stringValue)
            guard texts.count == choices.count, !texts.isEmpty else {
                throw wrong(prefix + "choice", "a list of strings")
            }
            return .choice(texts)
        }
        if let grammar = try string(prefix + "grammar") { return .grammar(grammar) }
        return nil
    }
}

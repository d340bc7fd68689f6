// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletStorage
internal import MartletTokenizers

extension LanguageText {
    private static let fileBytesMax = 64 << 20

    /// Reads what a Hugging Face folder says of text: tokenizer.json, tokenizer_config.json,
    /// chat_template.jinja, generation_config.json.
    /// - Throws: `LanguageError` naming the file.
    public init(folder: String, contextLength: Int) throws(LanguageError) {
        let tokenizer: Tokenizer
        do {
            tokenizer = try Tokenizer(
                parsing: FileSystem.readAll(
                    PathName.join(folder, "tokenizer.json"), limit: 256 << 20))
        } catch let error as TokenizerError {
            throw LanguageError(.invalidFile, "'\(folder)': \(error.message)", cause: error)
        } catch {
            throw LanguageError(.missingFile, "'\(folder)/tokenizer.json': \(error)", cause: error)
        }
        let settings = try LanguageText.object("tokenizer_config.json", in: folder)
        let model = try LanguageText.object("config.json", in: folder)
        let generation = try LanguageText.object("generation_config.json", in: folder)
        var special = JSONObject()
        for name in ["bos_token", "eos_token", "pad_token", "unk_token"] {
            guard let value = settings[name] else { continue }
            if let text = value.stringValue ?? value["content"]?.stringValue {
                special[name] = .string(text)
            }
        }
        var ends: Set<Int32> = []
        for value in [generation["eos_token_id"], model["eos_token_id"]].compactMap(\.self) {
            for id in value.arrayValue ?? [value] {
                if let id = id.intValue.flatMap(Int32.init(exactly:)), id >= 0 { ends.insert(id) }
            }
            if !ends.isEmpty { break }
        }
        if let name = special["eos_token"]?.stringValue, let id = tokenizer.id(of: name) {
            ends.insert(Int32(id))
        }
        ends.formUnion(LanguageText.turnEnds(of: tokenizer))
        self.init(
            tokenizer: tokenizer,
            templates: try LanguageText.templates(settings, folder: folder),
            specialTokens: special, endTokens: ends, contextLength: contextLength)
        sampling = LanguageText.sampling(generation)
    }

    /// Whether a Hugging Face folder holds a model that generates text.
    package static func isDecoderFolder(_ folder: String) -> Bool {
        guard let model = try? object("config.json", in: folder) else { return false }
        let architectures = model["architectures"]?.arrayValue ?? []
        return architectures.contains {
            $0.stringValue?.hasSuffix("ForCausalLM") == true
                || $0.stringValue?.hasSuffix("LMHeadModel") == true
        }
    }

    /// Chat models often name their end of turn nowhere but in the template.
    static func turnEnds(of tokenizer: Tokenizer) -> Set<Int32> {
        let names = ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>"]
        let known = names.compactMap { tokenizer.id(of: $0).flatMap(Int32.init(exactly:)) }
        return Set(known.filter { tokenizer.isSpecial($0) })
    }

    private static func object(
        _ name: String, in folder: String
    ) throws(LanguageError) -> JSONObject {
        let path = PathName.join(folder, name)
        guard FileSystem.isRegularFile(path) else { return JSONObject() }
        do {
            let value = try JSONValue(
                parsing: FileSystem.readAll(path, limit: fileBytesMax),
                limits: JSONLimits(loneSurrogates: .replace, acceptsNonFinite: true))
            guard case .object(let object) = value else {
                throw LanguageError(.invalidFile, "'\(path)': expected an object")
            }
            return object
        } catch let error as LanguageError {
            throw error
        } catch {
            throw LanguageError(.invalidFile, "'\(path)': \(error)", cause: error)
        }
    }

    private static func templates(
        _ settings: JSONObject, folder: String
    ) throws(LanguageError) -> [String: ChatTemplate] {
        var sources: [String: String] = [:]
        switch settings["chat_template"] {
        case .string(let source): sources[""] = source
        case .array(let list):
            for entry in list {
                guard let name = entry["name"]?.stringValue,
                    let source = entry["template"]?.stringValue
                else { continue }
                sources[name == "default" ? "" : name] = source
            }
        default: break
        }
        let path = PathName.join(folder, "chat_template.jinja")
        if FileSystem.isRegularFile(path) {
            do {
                sources[""] = try FileSystem.readText(path, limit: 1 << 20)
            } catch {
                throw LanguageError(.invalidFile, "'\(path)': \(error)", cause: error)
            }
        }
        var templates: [String: ChatTemplate] = [:]
        for (name, source) in sources {
            do throws(TemplateError) {
                templates[name] = try ChatTemplate(source)
            } catch {
                throw LanguageError(.unsupported, "'\(folder)': \(error)", cause: error)
            }
        }
        return templates
    }

    /// What generation_config.json asks for, where it is within bounds.
    private static func sampling(_ generation: JSONObject) -> SamplingOptions {
        var sampling = SamplingOptions()
        guard generation["do_sample"]?.boolValue == true else { return sampling }
        sampling.temperature = generation["temperature"]?.doubleValue ?? 1
        sampling.topP = generation["top_p"]?.doubleValue ?? 1
        sampling.topK = generation["top_k"]?.intValue ?? 0
        sampling.repetitionPenalty = generation["repetition_penalty"]?.doubleValue ?? 1
        return sampling.fault == nil ? sampling : SamplingOptions()
    }
}

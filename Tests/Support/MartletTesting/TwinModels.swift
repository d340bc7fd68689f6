// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletJSON
internal import MartletLanguage
package import MartletServing
internal import MartletTokenizers
internal import Synchronization

/// Opens "decoders" whose answers are made of letters by a scripted decoder: folders with a
/// configuration, a tokenizer and a template, and no weights.
package final class TwinModels: Sendable {
    // Sendable: the decoder's own thread uses it; tests look at it when that rests.
    private struct Opened: @unchecked Sendable { var decoder: ScriptedDecoder }

    private let opened = Mutex<[Opened]>([])
    private let blockCount: Int
    private let contextLength: Int
    private let likely: Set<Int32>
    private let beforeStep: (@Sendable () -> Void)?

    package init(
        blockCount: Int = 256, contextLength: Int = 512,
        likely: Set<Int32> = TinyTokenizer.letters, beforeStep: (@Sendable () -> Void)? = nil
    ) {
        self.blockCount = blockCount
        self.contextLength = contextLength
        self.likely = likely
        self.beforeStep = beforeStep
    }

    package var open: LanguageOpener {
        { [self] path, _ in
            let decoder = ScriptedDecoder(
                shape: DecoderShape(
                    vocabularySize: TinyTokenizer.vocabularySize, contextLength: contextLength,
                    blockLength: 16, blockCount: blockCount), likely: likely)
            decoder.beforeStep = beforeStep
            opened.withLock { $0.append(Opened(decoder: decoder)) }
            return LoadedDecoder(
                runner: decoder,
                text: try LanguageText(folder: path, contextLength: contextLength))
        }
    }

    /// What went wrong in any decoder's steps.
    package var complaint: String? {
        opened.withLock { $0.compactMap(\.decoder.complaint).first }
    }

    package var stepCount: Int { opened.withLock { $0.reduce(0) { $0 + $1.decoder.stepCount } } }

    /// Writes a model's folder.
    package static func write(
        _ name: String, to folder: TestFolder, template: String = ChatTemplate.plain
    ) throws {
        try folder.write(
            "\(name)/config.json",
            #"{"model_type":"llama","architectures":["LlamaForCausalLM"],"eos_token_id":258}"#)
        try folder.write("\(name)/tokenizer.json", TinyTokenizer.json)
        var settings = JSONObject()
        settings["chat_template"] = .string(template)
        settings["bos_token"] = "<|endoftext|>"
        settings["eos_token"] = "<|im_end|>"
        try folder.write(
            "\(name)/tokenizer_config.json", JSONValue.object(settings).description)
    }
}

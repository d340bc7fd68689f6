// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletEngine
package import MartletLanguage
internal import MartletTensor

/// Opens a decoder's folder or file; blocks.
package typealias LanguageOpener =
    @Sendable (_ path: String, EngineOptions) throws -> sending LoadedDecoder

extension ModelLoader {
    /// Decoders on the engine: weights as they are stored, or in int8 where asked for.
    package static let engineLanguage: LanguageOpener = { path, options in
        try LoadedDecoder.open(path, options: decoderOptions(options))
    }

    private static func decoderOptions(_ options: EngineOptions) -> DecoderOptions {
        var decoder = DecoderOptions()
        decoder.precision = options.precision == .int8 ? .int8 : .stored
        decoder.memoryByteCountMax = options.memoryBytesMax
        decoder.planCache = options.planCache
        decoder.note = options.note
        return decoder
    }

    /// What decoders are served with besides themselves.
    package struct LanguageExtras: Sendable {
        /// A smaller model that guesses for those of its tokens; empty for none.
        package var draftPath = ""
        /// Folders of low-rank adapters by name.
        package var adapters: [(name: String, folder: String)] = []
        /// The most adapters at a time; 0 for none.
        package var adaptersMax = 0
        /// What keys and values are kept as, and the most memory for them.
        package var cacheType = DecoderOptions.CacheType.float16
        package var cacheByteCountMax = 1 << 30
        /// The most tokens of a prompt and its answer together; nil: as the model says.
        package var contextLength: Int?
        /// Answers that are made at once; further requests wait.
        package var runningMax = SchedulerPolicy().runningMax

        package init() {}
    }

    /// As `engineLanguage`, with what fits of the extras; what does not is noted.
    package static func engineLanguage(_ extras: LanguageExtras) -> LanguageOpener {
        { path, options in
            var decoder = decoderOptions(options)
            decoder.cacheType = extras.cacheType
            decoder.cacheByteCountMax = extras.cacheByteCountMax
            decoder.adaptersMax = max(extras.adaptersMax, extras.adapters.count)
            decoder.contextLength = extras.contextLength
            decoder.sequencesMax = extras.runningMax
            var language = try LoadedDecoder.open(path, options: decoder)
            language.runningMax = extras.runningMax
            if let wanted = extras.contextLength, wanted > language.text.contextLength {
                options.note?(
                    "model '\(path)': the context is \(language.text.contextLength) tokens, less "
                        + "than the \(wanted) that were asked for")
            }
            if let configuration = language.configuration {
                for (name, folder) in extras.adapters {
                    do {
                        let file = try AdapterFile(folder: folder, configuration: configuration)
                        language.adapters.append((name, file))
                    } catch {
                        options.note?(
                            "model '\(path)' goes without the adapter '\(name)': \(error)")
                    }
                }
            }
            guard !extras.draftPath.isEmpty, path != extras.draftPath else { return language }
            decoder.adaptersMax = 0
            decoder.sequencesMax = SchedulerPolicy().draftingRunsMax
            do {
                try language.setDraft(
                    try LoadedDecoder.open(extras.draftPath, options: decoder))
            } catch {
                options.note?("model '\(path)' goes without '\(extras.draftPath)': \(error)")
            }
            return language
        }
    }

    /// A language model behind a thread of its own.
    func serve(
        _ language: sending LoadedDecoder, version: ModelCandidate.Version,
        of candidate: ModelCandidate,
        configuration: ModelConfiguration
    ) throws -> ServedModel {
        let number = String(version.number)
        let statistics = StatisticsRecorder(
            name: candidate.name, version: number, tracing: tracing)
        statistics.setMemory(bytes: language.memoryBytes)
        var configuration = configuration
        configuration.platform = "martlet"
        var policy = SchedulerPolicy()
        policy.runningMax = language.runningMax
        let executor = try GenerationExecutor(
            model: candidate.name, version: number, language: language,
            policy: policy, workers: workers, statistics: statistics, time: time,
            tracing: tracing)
        return ServedModel(
            name: candidate.name, version: number, configuration: configuration,
            inputs: [TensorSpec(name: "text_input", elementType: .bytes, dimensions: [1])],
            outputs: [TensorSpec(name: "text_output", elementType: .bytes, dimensions: [-1])],
            capabilities: .generation, statistics: statistics, executor: executor)
    }
}

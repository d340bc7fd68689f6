// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletEngine
package import MartletLanguage
internal import MartletTensor

/// Opens a decoder's folder or file; blocks.
package typealias LanguageOpener =
    @Sendable (_ path: String, EngineOptions) throws -> sending LanguageModel

extension ModelLoader {
    /// Decoders on the engine: weights as they are stored, or in int8 where asked for.
    package static let engineLanguage: LanguageOpener = { path, options in
        var decoder = DecoderOptions()
        decoder.precision = options.precision == .int8 ? .int8 : .stored
        decoder.memoryByteCountMax = options.memoryBytesMax
        return try LanguageModel.open(path, options: decoder)
    }

    /// The same with a smaller model that guesses, where its tokens are the model's.
    package static func engineLanguage(draftPath: String) -> LanguageOpener {
        { path, options in
            var language = try engineLanguage(path, options)
            guard path != draftPath else { return language }
            var small = DecoderOptions()
            small.precision = options.precision == .int8 ? .int8 : .stored
            small.sequencesMax = SchedulerPolicy().draftingRunsMax
            do {
                try language.setDraft(try LanguageModel.open(draftPath, options: small))
            } catch {
                options.note?("model '\(path)' goes without '\(draftPath)': \(error)")
            }
            return language
        }
    }

    /// A language model behind a thread of its own.
    func serve(
        _ language: sending LanguageModel, version: ModelCandidate.Version,
        of candidate: ModelCandidate,
        configuration: ModelConfiguration
    ) throws -> ServedModel {
        let number = String(version.number)
        let statistics = StatisticsRecorder(
            name: candidate.name, version: number, tracing: tracing)
        statistics.setMemory(bytes: language.memoryBytes)
        var configuration = configuration
        configuration.platform = "martlet"
        let executor = try GenerationExecutor(
            model: candidate.name, version: number, language: language,
            policy: SchedulerPolicy(), workers: workers, statistics: statistics, time: time,
            tracing: tracing)
        return ServedModel(
            name: candidate.name, version: number, configuration: configuration,
            inputs: [TensorSpec(name: "text_input", elementType: .bytes, dimensions: [1])],
            outputs: [TensorSpec(name: "text_output", elementType: .bytes, dimensions: [-1])],
            capabilities: .generation, statistics: statistics, executor: executor)
    }
}

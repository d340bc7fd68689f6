// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine

extension LoadedDecoder {
    /// Opens a decoder with its draft model and adapters. Blocks while weights are packed.
    static func open(
        _ path: String, _ options: LanguageModelOptions
    ) throws(LanguageError) -> sending LoadedDecoder {
        do {
            var decoder = options.decoder
            var loaded = try open(path, options: decoder)
            if let configuration = loaded.configuration {
                for (name, folder) in options.adapters.sorted(by: { $0.key < $1.key }) {
                    let file = try AdapterFile(folder: folder, configuration: configuration)
                    loaded.adapters.append((name, file))
                }
            }
            if let draft = options.draftModelPath {
                decoder.adaptersMax = 0
                decoder.sequencesMax = min(options.runningMax, SchedulerPolicy().draftingRunsMax)
                try loaded.setDraft(try open(draft, options: decoder))
            }
            return loaded
        } catch {
            throw LanguageError(opening: error, path)
        }
    }
}

extension LanguageError {
    fileprivate init(opening error: any Error, _ path: String) {
        switch error {
        case let error as LanguageError: self = error
        case let error as EngineError:
            let code: Code =
                switch error.code {
                case .unsupported: .unsupported
                case .limitExceeded: .limitExceeded
                case .invalidModel, .invalidInput: .invalidFile
                default: .internal
                }
            self.init(code, "'\(path)': \(error.message)", cause: error)
        default: self.init(.internal, "'\(path)': \(error)", cause: error)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
public import MartletLanguage

extension ModelHost {
    /// Hosts without language models refuse.
    public func generate(
        _ request: GenerationRequest, cancellation: Cancellation,
        receive: @escaping GenerationReceiver
    ) {
        receive(
            .failure(
                ServingError(.unsupported, "model '\(request.model)' does not generate text")))
    }

    public func language(model: String) throws -> LanguageText {
        throw ServingError(.unsupported, "model '\(model)' is no language model")
    }

    public func withLanguage(
        model: String, _ body: @escaping @Sendable (Result<LanguageText, ServingError>) -> Void
    ) {
        body(.failure(ServingError(.unsupported, "model '\(model)' is no language model")))
    }

    public func loadAdapter(_ name: String, folder: String, model: String?) async throws {
        throw ServingError(.unsupported, "adapters are not supported")
    }

    public func unloadAdapter(_ name: String) async throws {
        throw ServingError(.unsupported, "adapters are not supported")
    }

    /// The asynchronous form of `generate`: ending the loop over it, or its task, cancels the
    /// request. A reader that falls `bufferedMax` events behind is cut off with an error.
    public func generate(
        _ request: GenerationRequest, bufferedMax: Int = 4096
    ) -> AsyncThrowingStream<GenerationEvent, any Error> {
        let cancellation = Cancellation()
        return AsyncThrowingStream(bufferingPolicy: .bufferingOldest(max(1, bufferedMax))) {
            stream in
            stream.onTermination = { _ in cancellation.cancel() }
            generate(request, cancellation: cancellation) { result in
                switch result {
                case .failure(let error): stream.finish(throwing: error)
                case .success(let event):
                    if case .dropped = stream.yield(event) {
                        cancellation.cancel()
                        stream.finish(
                            throwing: ServingError(
                                .cancelled, "model '\(request.model)': the reader is too slow"))
                    } else if case .ended = event {
                        stream.finish()
                    }
                }
            }
        }
    }
}

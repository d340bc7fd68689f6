// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import Synchronization

extension GenerationExecutor {
    package var adapters: Set<String> { names.withLock { $0 } }

    /// Reads an adapter on a worker thread and makes it ready between two steps.
    package func loadAdapter(
        _ name: String, folder: String,
        completion: @escaping @Sendable (Result<Void, ServingError>) -> Void
    ) {
        let isTaken = workers.submit { [self] in
            do {
                guard let configuration else {
                    throw ServingError(
                        .unsupported, "model '\(model)' was not opened for adapters")
                }
                let file = try AdapterFile(folder: folder, configuration: configuration)
                let isTold = generator.perform { [self] core in
                    do throws(LanguageError) {
                        try core.loadAdapter(name, file)
                        names.withLock { _ = $0.insert(name) }
                        completion(.success(()))
                    } catch {
                        completion(.failure(ServingError(failure: error)))
                    }
                }
                if !isTold { throw ServingError(.unavailable, "model '\(model)' is closing") }
            } catch {
                completion(.failure(ServingError(failure: error)))
            }
        }
        if !isTaken {
            completion(.failure(ServingError(.unavailable, "model '\(model)': too much to do")))
        }
    }

    /// New requests do not find the adapter any more; those that use it end first.
    package func unloadAdapter(_ name: String) -> Bool {
        guard names.withLock({ $0.remove(name) != nil }) else { return false }
        return generator.perform { _ = $0.unloadAdapter(name) }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletEngine
internal import Synchronization

/// Loads each model with the engine that its options or the process ask for.
///
/// `auto` takes the native engine, and ONNX Runtime for a model that the native one does not
/// support; the reason is reported once a model.
public final class ChoosingEngine: Engine {
    public var name: String { choice.rawValue }

    private let choice: EngineChoice
    private let native: any Engine
    private let makeOther: @Sendable () throws -> any Engine
    private let report: @Sendable (_ model: String, _ reason: String) -> Void
    private let other = Mutex<(any Engine)?>(nil)

    /// - Parameters:
    ///   - choice: for models that ask for none.
    ///   - makeOther: ONNX Runtime; called when a model needs it first.
    ///   - report: is told why a model does not run natively.
    public init(
        _ choice: EngineChoice, native: any Engine = NativeEngine(),
        makeOther: @escaping @Sendable () throws -> any Engine = { try ONNXRuntimeEngine() },
        report: @escaping @Sendable (_ model: String, _ reason: String) -> Void = { _, _ in }
    ) {
        self.choice = choice
        self.native = native
        self.makeOther = makeOther
        self.report = report
    }

    public func load(_ source: ModelSource, options: EngineOptions) throws -> any EngineSession {
        switch options.engine ?? choice {
        case .native: return try native.load(source, options: options)
        case .onnxRuntime: return try otherEngine().load(source, options: options)
        case .automatic: return try loadAutomatically(source, options)
        }
    }

    private func loadAutomatically(
        _ source: ModelSource, _ options: EngineOptions
    ) throws -> any EngineSession {
        do {
            return try native.load(source, options: options)
        } catch let error as EngineError {
            // Only what the native engine lacks is worth another try; a graph built in memory
            // cannot be handed over.
            guard error.code == .unsupported, case .onnxFile(let path) = source else { throw error }
            let session: any EngineSession
            do {
                session = try otherEngine().load(source, options: options)
            } catch let second {
                throw EngineError(
                    .unsupported, "\(error.message)\nONNX Runtime instead: \(second)", cause: error)
            }
            report(path, error.message)
            return session
        }
    }

    private func otherEngine() throws -> any Engine {
        try other.withLock { other in
            if let other { return other }
            let made = try makeOther()
            other = made
            return made
        }
    }
}

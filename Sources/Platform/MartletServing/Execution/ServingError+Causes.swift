// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletFormats
internal import MartletImages
internal import MartletLanguage
internal import MartletStorage
internal import MartletTensor
internal import MartletTokenizers

extension ServingError {
    /// A failure of the layers below in the doors' terms.
    package init(failure error: any Error) {
        switch error {
        case let error as ServingError:
            self = error
        case let error as EngineError:
            self.init(Code(error.code), error.message, cause: error)
        case let error as LanguageError:
            let code: Code =
                switch error.code {
                case .unsupported: .unsupported
                case .limitExceeded: .payloadTooLarge
                case .overloaded, .closed: .unavailable
                case .cancelled: .cancelled
                case .internal: .internal
                default: .invalidArgument
                }
            let retryAfter: Duration? = error.code == .overloaded ? .seconds(1) : nil
            self.init(code, error.message, retryAfter: retryAfter, cause: error)
        case let error as TensorError where error.code == .noMemory:
            self.init(.payloadTooLarge, error.message, cause: error)
        case is FormatError, is StorageError, is TokenizerError, is ImageError, is TensorError:
            self.init(.invalidArgument, "\(error)", cause: error)
        case is ThreadFailure:
            self.init(.unavailable, "\(error)", retryAfter: .seconds(1), cause: error)
        case let error as SharedMemoryError:
            self.init(error)
        default:
            self.init(.internal, "the model failed: \(error)", cause: error)
        }
    }
}

extension ServingError.Code {
    fileprivate init(_ code: EngineError.Code) {
        self =
            switch code {
            case .invalidInput, .invalidModel: .invalidArgument
            case .cancelled: .cancelled
            case .unsupported: .unsupported
            case .limitExceeded: .payloadTooLarge
            default: .internal
            }
    }
}

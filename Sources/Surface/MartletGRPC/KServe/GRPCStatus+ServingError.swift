// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
package import MartletServing
package import MartletWire

extension GRPCStatus {
    /// The status that answers any error of a method.
    package init(_ error: any Error) {
        switch error {
        case let status as GRPCStatus: self = status
        case let error as ServingError: self.init(error)
        case let error as FormatError:
            self.init(.invalidArgument, "malformed request message: \(error)")
        default: self.init(.internal, "\(error)")
        }
    }

    package init(_ error: ServingError) {
        let code: Code =
            switch error.code {
            case .notFound: .notFound
            case .invalidArgument: .invalidArgument
            case .unavailable: .unavailable
            case .deadlineExceeded: .deadlineExceeded
            case .cancelled: .cancelled
            case .alreadyExists: .alreadyExists
            case .unsupported: .unimplemented
            case .payloadTooLarge: .resourceExhausted
            default: .internal
            }
        self.init(code, error.message)
    }
}

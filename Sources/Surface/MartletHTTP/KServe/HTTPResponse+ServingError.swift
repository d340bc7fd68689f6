// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing

extension HTTPResponse {
    /// The protocol's answer to any error.
    static func kserve(_ error: any Error) -> HTTPResponse {
        switch error {
        case let error as ServingError:
            var response = HTTPResponse.error(error.message, status: error.httpStatus)
            response.addRetryAfter(error)
            return response
        case let error as JSONError:
            return .error("failed to parse the request JSON buffer: \(error.message)", status: 400)
        default: return .error("\(error)", status: 500)
        }
    }

    /// Tells a refused client when to come back.
    mutating func addRetryAfter(_ error: ServingError) {
        guard error.code == .unavailable else { return }
        let seconds = error.retryAfter.map { $0.components.seconds } ?? 1
        fields.append(Field("Retry-After", String(max(1, seconds))))
    }
}

extension ServingError {
    /// Triton's map of codes to statuses, and what it lacks: 504 for deadlines, 413 for size.
    var httpStatus: Int {
        switch code {
        case .notFound: 404
        case .unavailable: 503
        case .deadlineExceeded: 504
        case .cancelled: 499
        case .unsupported: 501
        case .payloadTooLarge: 413
        case .internal: 500
        default: 400
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage
internal import MartletServing

/// What OpenAI's clients expect of an error: `{"error": {message, type, param, code}}`.
struct OpenAIError: Error {
    var status: Int
    var message: String
    /// The request's field that is wrong.
    var parameter: String?
    var code: String?

    static func invalid(_ message: String, parameter: String?) -> OpenAIError {
        OpenAIError(status: 400, message: message, parameter: parameter)
    }

    /// The kind of error that clients tell apart.
    var type: String {
        switch status {
        case 429: "rate_limit_error"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }
}

extension HTTPResponse {
    /// OpenAI's answer to any error.
    static func openAI(_ error: any Error) -> HTTPResponse {
        switch error {
        case let error as OpenAIError: return openAI(error)
        case let error as JSONError:
            return openAI(
                .invalid("the request is not valid JSON: \(error.message)", parameter: nil))
        case let error as LanguageError: return openAI(ServingError(failure: error))
        case let error as ServingError:
            var translated = OpenAIError(status: error.httpStatus, message: error.message)
            switch error.code {
            case .notFound:
                translated.parameter = "model"
                translated.code = "model_not_found"
            case .unavailable: translated.code = "service_unavailable"
            case .deadlineExceeded: translated.code = "timeout"
            case .unsupported:
                translated.status = 400
                translated.code = "unsupported"
            default: break
            }
            if (error.cause as? LanguageError)?.code == .contextExceeded {
                translated.code = "context_length_exceeded"
            }
            var response = openAI(translated)
            response.addRetryAfter(error)
            return response
        default: return openAI(OpenAIError(status: 500, message: "\(error)"))
        }
    }

    static func openAI(_ error: OpenAIError) -> HTTPResponse {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("error")
        writer.beginObject()
        writer.key("message")
        writer.string(error.message)
        writer.key("type")
        writer.string(error.type)
        writer.key("param")
        writer.optional(error.parameter)
        writer.key("code")
        writer.optional(error.code)
        writer.endObject()
        writer.endObject()
        return .json(writer.bytes, status: error.status)
    }
}

extension JSONWriter {
    /// A text or null.
    mutating func optional(_ text: String?) {
        if let text { string(text) } else { null() }
    }
}

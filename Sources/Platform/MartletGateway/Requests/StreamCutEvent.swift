// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// How a stream that was broken off tells its client, in its own form.
package enum StreamCutEvent {
    /// - Parameter number: of the event in its stream.
    package static func text(
        _ route: TokenRoute, code: String, message: String, number: Int
    ) -> [UInt8] {
        let (name, body) = event(route, code: code, message: message, number: number)
        let start = name.map { "\n\nevent: \($0)\ndata: " } ?? "\n\ndata: "
        return Array(start.utf8) + body.serialized() + Array("\n\n".utf8)
    }

    private static func event(
        _ route: TokenRoute, code: String, message: String, number: Int
    ) -> (name: String?, body: JSONValue) {
        switch route {
        case .responses:
            return (
                "error",
                [
                    "type": "error", "code": .string(code), "message": .string(message),
                    "param": .null, "sequence_number": .integer(Int64(number)),
                ]
            )
        case .messages:
            return (
                "error",
                ["type": "error", "error": ["type": "api_error", "message": .string(message)]]
            )
        case .completions, .embeddings, .other:
            return (
                nil,
                [
                    "error": [
                        "message": .string(message), "type": "server_error", "param": .null,
                        "code": .string(code),
                    ]
                ]
            )
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing

extension HTTPResponse {
    /// `{"error": …}`, as the Open Inference Protocol has it.
    static func error(_ message: String, status: Int) -> HTTPResponse {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("error")
        writer.string(message)
        writer.endObject()
        return .json(writer.bytes, status: status)
    }
}

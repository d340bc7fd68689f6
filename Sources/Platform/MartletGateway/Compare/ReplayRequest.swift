// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// One request out of a file to be asked again, a JSON object a line:
///
///     {"model": "m", "messages": […]}
///     {"id": "7", "method": "POST", "path": "/v1/embeddings", "body": {…}}
///     {"custom_id": "7", "method": "POST", "url": "/v1/chat/completions", "body": {…}}
///
/// The first is a body whose path follows from its members; the last is OpenAI's batch form.
package struct ReplayRequest: Sendable {
    package var id: String
    package var method: String
    package var path: String
    package var body: [UInt8]

    private static let inferred = [
        ("messages", "/v1/chat/completions"), ("prompt", "/v1/completions"),
        ("input", "/v1/embeddings"),
    ]

    /// - Parameter number: the line's, from 1, for messages and as the id of requests without one.
    /// - Throws: `ReplayFileError` naming the line.
    package init(line: [UInt8], number: Int) throws(ReplayFileError) {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: line)
        } catch {
            throw ReplayFileError(message: "line \(number): no JSON: \(error)")
        }
        guard let object = value.objectValue else {
            throw ReplayFileError(message: "line \(number): a request must be a JSON object")
        }
        id =
            object["custom_id"]?.stringValue ?? object["id"]?.stringValue
            ?? object["id"]?.intValue.map(String.init) ?? "line \(number)"
        if let path = object["path"]?.stringValue ?? object["url"]?.stringValue {
            method = object["method"]?.stringValue ?? "POST"
            body = object["body"].map { $0.serialized() } ?? []
            self.path = path
        } else if let known = ReplayRequest.inferred.first(where: { object[$0.0] != nil }) {
            method = "POST"
            path = known.1
            body = value.serialized()
        } else {
            throw ReplayFileError(
                message: "line \(number): neither a path nor a body whose path is known "
                    + "(messages, prompt or input)")
        }
        let isToken = method.utf8.allSatisfy { $0 >= 0x41 && $0 <= 0x5A }
        let isPath = path.hasPrefix("/") && path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        guard isToken, !method.isEmpty, method.utf8.count <= 16, isPath else {
            throw ReplayFileError(
                message: "line \(number): '\(method) \(path)' is no request; a path begins with /")
        }
    }

    /// Reads a whole file; empty lines are passed over.
    /// - Throws: `ReplayFileError` for the first line that is wrong, or when there are too many.
    package static func read(
        _ bytes: [UInt8], countMax: Int = 1_000_000
    ) throws(ReplayFileError) -> [ReplayRequest] {
        var found: [ReplayRequest] = []
        var number = 0
        for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            number += 1
            let line = line.last == 0x0D ? line.dropLast() : line
            guard !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) else { continue }
            guard found.count < countMax else {
                throw ReplayFileError(message: "more than \(countMax) requests")
            }
            found.append(try ReplayRequest(line: Array(line), number: number))
        }
        return found
    }
}

/// Why a file of requests cannot be used.
package struct ReplayFileError: Error, Sendable, CustomStringConvertible {
    package let message: String
    package var description: String { message }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// A request written down as JSON, for `martlet gateway explain` and for tests.
///
///     {"method": "POST", "path": "/v1/chat/completions", "headers": {"x-beta": "1"},
///      "query": {}, "user": "u-42", "tenant": "acme", "body": {"model": "small"}}
///
/// `model` may be given; otherwise it is the body's `model`, or the name in a path such as
/// `/v2/models/NAME/infer`.
package struct RequestDescription: Sendable {
    package var method = "POST"
    package var path = "/v1/chat/completions"
    package var model: String?
    package var headers: [String: String] = [:]
    package var query: [String: String] = [:]
    package var identity: [Attribute: String] = [:]
    package var body: JSONValue?

    private static let identities: [(String, Attribute)] = [
        ("user", .user), ("session", .session), ("key", .key), ("tenant", .tenant),
        ("region", .region), ("device", .device), ("request", .request),
    ]
    private static let keys =
        ["method", "path", "model", "headers", "query", "body"] + identities.map(\.0)

    package init() {}

    /// - Throws: `RequestDescriptionError` naming the member that is wrong.
    package init(_ value: JSONValue) throws(RequestDescriptionError) {
        guard let object = value.objectValue else {
            throw RequestDescriptionError(message: "the request must be a JSON object")
        }
        for key in object.keys where !RequestDescription.keys.contains(key) {
            throw RequestDescriptionError(
                message: "unknown member '\(key)' in the request"
                    + ProblemList.hint(key, among: RequestDescription.keys))
        }
        if let method = try RequestDescription.text("method", object) { self.method = method }
        if let path = try RequestDescription.text("path", object) { self.path = path }
        model = try RequestDescription.text("model", object)
        for (name, value) in try RequestDescription.texts("headers", object) {
            headers[name.lowercased()] = value
        }
        query = try RequestDescription.texts("query", object)
        for (name, attribute) in RequestDescription.identities {
            identity[attribute] = try RequestDescription.text(name, object)
        }
        body = object["body"]
        if let mark = path.firstIndex(of: "?") {
            for pair in path[path.index(after: mark)...].split(separator: "&") {
                let (name, value) = QueryText.read(pair)
                if query[name] == nil { query[name] = value }
            }
            path = String(path[..<mark])
        }
        model = model ?? body?["model"]?.stringValue ?? RequestDescription.model(inPath: path)
    }

    /// The value of an attribute, as a rule would see it.
    package func value(_ attribute: Attribute) -> String? {
        switch attribute {
        case .method: method
        case .path: path
        case .header(let name): headers[name]
        case .query(let name): query[name]
        case .field(let path): body.flatMap { RequestDescription.field(path, in: $0) }
        default: identity[attribute]
        }
    }

    /// A scalar member of a document as text; nil for lists, objects, null and what is not there.
    package static func field(_ path: String, in body: JSONValue) -> String? {
        var current = body
        for part in path.split(separator: ".") {
            let next: JSONValue? =
                switch current {
                case .array: Int(part).flatMap { current[$0] }
                default: current[String(part)]
                }
            guard let next else { return nil }
            current = next
        }
        return switch current {
        case .string(let text): text
        case .integer(let number): String(number)
        case .number(let number): String(number)
        case .bool(let flag): String(flag)
        case .null, .array, .object: nil
        }
    }

    /// The NAME in `/v2/models/NAME/…`.
    static func model(inPath path: String) -> String? {
        let parts = path.split(separator: "/")
        guard parts.count >= 3, parts[0] == "v2", parts[1] == "models" else { return nil }
        return String(parts[2])
    }

    private static func text(
        _ key: String, _ object: JSONObject
    ) throws(RequestDescriptionError) -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let text = value.stringValue else {
            throw RequestDescriptionError(message: "'\(key)' of the request must be a text")
        }
        return text
    }

    private static func texts(
        _ key: String, _ object: JSONObject
    ) throws(RequestDescriptionError) -> [String: String] {
        guard let value = object[key], !value.isNull else { return [:] }
        guard let members = value.objectValue else {
            throw RequestDescriptionError(message: "'\(key)' of the request must be an object")
        }
        var found: [String: String] = [:]
        for (name, value) in members {
            guard let text = value.stringValue else {
                throw RequestDescriptionError(
                    message: "'\(name)' in '\(key)' of the request must be a text")
            }
            found[name] = text
        }
        return found
    }
}

/// Why a written-down request cannot be used.
package struct RequestDescriptionError: Error, CustomStringConvertible {
    package let message: String
    package var description: String { message }
}

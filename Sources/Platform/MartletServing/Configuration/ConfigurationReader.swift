// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletJSON
internal import MartletStorage

/// A model's configuration as read, and what in it is not honoured.
package struct ConfigurationReading: Sendable {
    package var configuration: ModelConfiguration
    package var warnings: [String]
}

/// Reads what somebody wrote about a model: protobuf text or its JSON form.
package enum ConfigurationReader {
    /// - Throws: `ServingError.invalidArgument` naming the file, the line and the field.
    package static func read(
        _ candidate: ModelCandidate
    ) throws(ServingError) -> ConfigurationReading {
        switch candidate.configuration {
        case nil:
            return ConfigurationReading(
                configuration: ModelConfiguration(name: candidate.name), warnings: [])
        case .text(let bytes, let path):
            return try read(
                text: bytes, path: path, name: candidate.name,
                folderName: PathName.baseName(candidate.folder))
        case .json(let bytes):
            return try read(json: bytes, name: candidate.name)
        case .unreadable(let reason):
            throw ServingError(.invalidArgument, "model '\(candidate.name)': \(reason)")
        }
    }

    /// Reads a config.pbtxt.
    /// - Parameter folderName: what the file may also call the model: somebody may serve it under
    ///   another name than its folder's.
    package static func read(
        text: [UInt8], path: String, name: String, folderName: String = ""
    ) throws(ServingError) -> ConfigurationReading {
        do throws(FormatError) {
            return try read(
                try PBTextMessage(parsing: text), name: name, folderName: folderName)
        } catch {
            throw ServingError(
                .invalidArgument, "\(path): \(error.message)", cause: error)
        }
    }

    /// Reads the JSON that a load call brings.
    package static func read(
        json: [UInt8], name: String
    ) throws(ServingError) -> ConfigurationReading {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: json)
        } catch {
            throw ServingError(
                .invalidArgument, "the configuration of '\(name)' is not JSON: \(error)",
                cause: error)
        }
        guard let object = value.objectValue else {
            throw ServingError(
                .invalidArgument, "the configuration of '\(name)' is not a JSON object")
        }
        do throws(FormatError) {
            return try read(ConfigurationJSON.message(object), name: name)
        } catch {
            let place = "line 0, column 0: "
            let message =
                error.message.hasPrefix(place)
                ? String(error.message.dropFirst(place.count)) : error.message
            throw ServingError(
                .invalidArgument, "the configuration of '\(name)': \(message)", cause: error)
        }
    }

    private static func read(
        _ message: PBTextMessage, name: String, folderName: String = ""
    ) throws(FormatError) -> ConfigurationReading {
        var fields = ConfigurationFields(name: name, folderName: folderName)
        try fields.model(message)
        try fields.check()
        return ConfigurationReading(
            configuration: fields.configuration, warnings: fields.warnings)
    }
}

/// The JSON form of a protobuf message as protobuf text's fields, so that one reader serves both.
enum ConfigurationJSON {
    /// Fields that are maps: objects in JSON, repeated `{ key value }` in text.
    private static let maps: Set<String> = [
        "parameters", "input_map", "output_map", "priority_queue_policy", "metric_tags",
        "cc_model_filenames",
    ]

    static func message(_ object: JSONObject) throws(FormatError) -> PBTextMessage {
        var message = PBTextMessage()
        for (key, value) in object {
            let name = snakeCased(key)
            let isMap = maps.contains(name) || (name == "inputs" && value.objectValue != nil)
            if isMap, let entries = value.objectValue {
                for (key, value) in entries {
                    guard let inner = try field("value", value) else { continue }
                    let entry = PBTextMessage(fields: [
                        PBTextField(name: "key", value: .string(Array(key.utf8))), inner,
                    ])
                    message.fields.append(PBTextField(name: name, value: .message(entry)))
                }
            } else if let elements = value.arrayValue {
                for element in elements {
                    if let field = try field(name, element) { message.fields.append(field) }
                }
            } else if let field = try field(name, value) {
                message.fields.append(field)
            }
        }
        return message
    }

    private static func field(
        _ name: String, _ value: JSONValue
    ) throws(FormatError) -> PBTextField? {
        let text: PBTextValue
        switch value {
        case .null: return nil
        case .bool(let flag): text = .word(flag ? "true" : "false")
        case .integer(let number):
            text = .integer(isNegative: number < 0, magnitude: number.magnitude)
        case .number(let number): text = .float(number)
        case .string(let string): text = .string(Array(string.utf8))
        case .object(let object): text = .message(try message(object))
        case .array:
            throw PBTextField(name: name, value: .word("")).failure("holds a list of lists")
        }
        return PBTextField(name: name, value: text)
    }

    /// protobuf's JSON form allows both spellings.
    private static func snakeCased(_ key: String) -> String {
        guard key.contains(where: \.isUppercase) else { return key }
        return key.reduce(into: "") { name, letter in
            if letter.isUppercase, !name.isEmpty { name += "_" }
            name += letter.lowercased()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletStorage

/// A small JSON file of a model folder, read member by member with errors that name file and field.
struct ConfigFile: Sendable {
    let path: String
    let object: JSONObject

    /// The largest configuration file that is read, in bytes.
    static let sizeMax = 16 << 20

    init(path: String, object: JSONObject) {
        self.path = path
        self.object = object
    }

    /// Nil when there is no such file.
    init?(optional path: String) throws(LanguageError) {
        guard FileSystem.exists(path) else { return nil }
        try self.init(path: path)
    }

    init(path: String) throws(LanguageError) {
        guard case .object(let object) = try ConfigFile.value(path: path) else {
            throw LanguageError(.invalidFile, "\(path): expected a JSON object")
        }
        self.init(path: path, object: object)
    }

    /// The whole file's value.
    static func value(path: String) throws(LanguageError) -> JSONValue {
        do {
            return try JSONValue(parsing: try FileSystem.readAll(path, limit: sizeMax))
        } catch let error as StorageError {
            let isMissing = !FileSystem.exists(path)
            throw LanguageError(
                isMissing ? .missingFile : .invalidFile, "\(error)", cause: error)
        } catch {
            throw LanguageError(.invalidFile, "\(path): \(error)", cause: error)
        }
    }

    private func wrong(_ name: String, _ expected: String, _ value: JSONValue) -> LanguageError {
        LanguageError(
            .invalidFile,
            "\(path): \(name): expected \(expected), found \(value.kind.rawValue)")
    }

    private func present(_ name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    /// A whole number under the first of `names` that is there.
    func integer(
        _ names: String..., in range: ClosedRange<Int>
    ) throws(LanguageError) -> Int? {
        for name in names {
            guard let value = present(name) else { continue }
            guard let number = value.intValue else { throw wrong(name, "a whole number", value) }
            guard range.contains(number) else {
                throw LanguageError(
                    .invalidFile,
                    "\(path): \(name): expected \(range.lowerBound) to \(range.upperBound), "
                        + "found \(number)")
            }
            return number
        }
        return nil
    }

    func number(_ name: String) throws(LanguageError) -> Double? {
        guard let value = present(name) else { return nil }
        guard let number = value.doubleValue else { throw wrong(name, "a number", value) }
        return number
    }

    func string(_ names: String...) throws(LanguageError) -> String? {
        for name in names {
            guard let value = present(name) else { continue }
            guard let text = value.stringValue else { throw wrong(name, "a string", value) }
            return text
        }
        return nil
    }

    func bool(_ name: String) throws(LanguageError) -> Bool? {
        guard let value = present(name) else { return nil }
        guard let flag = value.boolValue else { throw wrong(name, "a boolean", value) }
        return flag
    }

    func strings(_ name: String) throws(LanguageError) -> [String] {
        guard let value = present(name) else { return [] }
        guard case .array(let elements) = value else { throw wrong(name, "an array", value) }
        var result: [String] = []
        for element in elements {
            guard let text = element.stringValue else { throw wrong(name, "strings", element) }
            result.append(text)
        }
        return result
    }

    func missing(_ name: String) -> LanguageError {
        LanguageError(.invalidFile, "\(path): \(name): missing")
    }
}

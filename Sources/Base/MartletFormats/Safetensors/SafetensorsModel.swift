// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletJSON
internal import MartletStorage

/// A model's weights by name: one safetensors file, or the shards that an index file lists.
public struct SafetensorsModel: Sendable {
    /// The files, in the order of their names.
    public let files: [SafetensorsFile]
    private let places: [String: Int]

    /// The longest index file that is read, in bytes.
    public static let indexSizeMax = 64 << 20

    /// Opens `PATH.safetensors`, an index `….safetensors.index.json`, or a folder with
    /// `model.safetensors` or `model.safetensors.index.json`.
    ///
    /// Throws `StorageError` for files and `FormatError` for their contents.
    public init(path: String) throws {
        if FileSystem.isDirectory(path) {
            let single = PathName.join(path, "model.safetensors")
            let index = single + ".index.json"
            let hasIndex = FileSystem.exists(index) && !FileSystem.exists(single)
            try self.init(file: hasIndex ? index : single)
        } else {
            try self.init(file: path)
        }
    }

    private init(file path: String) throws {
        guard path.hasSuffix(".json") else {
            let file = try Self.open(path)
            files = [file]
            places = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, 0) })
            return
        }
        let shardOfTensor = try Self.readIndex(path)
        let shards = Set(shardOfTensor.values).sorted()
        let folder = PathName.directory(path)
        files = try shards.map { try Self.open(PathName.join(folder, $0)) }
        let shardPlaces = Dictionary(uniqueKeysWithValues: zip(shards, shards.indices))
        places = shardOfTensor.compactMapValues { shardPlaces[$0] }
        for (name, place) in places where files[place][name] == nil {
            throw FormatError(
                format: .safetensors, code: .missing,
                message: "'\(path)' says that '\(shards[place])' holds tensor '\(name)'; "
                    + "it does not")
        }
    }

    /// The tensors' names, sorted.
    public var names: [String] { places.keys.sorted() }

    public subscript(name: String) -> SafetensorsTensor? {
        places[name].flatMap { files[$0][name] }
    }

    private static func open(_ path: String) throws -> SafetensorsFile {
        let region = try MappedFile(path: path).region
        do throws(FormatError) {
            return try SafetensorsFile(region)
        } catch {
            var named = error
            named.message = "'\(path)': \(error.message)"
            throw named
        }
    }

    /// The shard's file name for each tensor.
    private static func readIndex(_ path: String) throws -> [String: String] {
        let bytes = try FileSystem.readAll(path, limit: indexSizeMax)
        let index: JSONValue
        do throws(JSONError) {
            index = try JSONValue(parsing: bytes)
        } catch {
            throw malformed(path, error.message)
        }
        guard case .object(let object) = index, case .object(let map)? = object["weight_map"] else {
            throw malformed(path, "no weight_map")
        }
        var shards: [String: String] = [:]
        for (name, value) in map {
            guard case .string(let shard) = value else {
                throw malformed(path, "weight_map names no file for tensor '\(name)'")
            }
            guard PathName.staysInside(shard), shard.hasSuffix(".safetensors") else {
                throw FormatError(
                    format: .safetensors, code: .outOfBounds,
                    message: "'\(path)': shard '\(shard)' is not a safetensors file in its folder")
            }
            shards[name] = shard
        }
        return shards
    }

    private static func malformed(_ path: String, _ message: String) -> FormatError {
        FormatError(format: .safetensors, code: .malformed, message: "'\(path)': \(message)")
    }
}

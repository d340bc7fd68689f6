// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletFormats
internal import MartletGraph
internal import MartletStorage
internal import MartletTensor

/// The test data beside a model: `test_data_set_N/input_M.pb` and `output_M.pb`.
enum ExampleData {
    private static let setsMax = 1000
    private static let tensorsMax = 10_000

    /// The folders of data, in order.
    static func sets(in folder: String) throws -> [String] {
        var sets: [String] = []
        for index in 0..<setsMax {
            let set = PathName.join(folder, "test_data_set_\(index)")
            guard FileSystem.isDirectory(set) else { break }
            sets.append(set)
        }
        return sets
    }

    /// The values of one kind, "input" or "output"; `containers` says what those are that are no
    /// tensors.
    static func values(
        _ kind: String, in set: String, _ containers: [ValueContainer]
    ) throws -> [EngineValue] {
        var values: [EngineValue] = []
        for index in 0..<tensorsMax {
            let path = PathName.join(set, "\(kind)_\(index).pb")
            guard FileSystem.isRegularFile(path) else { break }
            let file = try MappedFile(path: path)
            let container = index < containers.count ? containers[index] : .tensor
            values.append(try value(file.region, container, path))
        }
        return values
    }

    /// The tolerances that a folder asks for in its file "tolerance", if it has one.
    static func tolerance(in folder: String) throws -> Tolerance? {
        let path = PathName.join(folder, "tolerance")
        guard FileSystem.isRegularFile(path) else { return nil }
        let words = try FileSystem.readText(path, limit: 1024).split(whereSeparator: \.isWhitespace)
        let numbers = words.compactMap { Double($0) }
        guard words.count == 2, numbers.count == 2 else {
            throw CommandFailure("\(path) does not hold two numbers")
        }
        return Tolerance(rtol: numbers[0], atol: numbers[1])
    }

    private static func value(
        _ region: ByteRegion, _ container: ValueContainer, _ path: String
    ) throws -> EngineValue {
        switch container {
        case .tensor: return .tensor(try tensor(region, path))
        case .sequence:
            return .sequence(try parts(region, field: 3).map { try tensor($0, path) })
        case .optionalTensor, .optionalSequence:
            if let tensor = try parts(region, field: 3).first {
                return .tensor(try self.tensor(tensor, path))
            }
            guard let sequence = try parts(region, field: 5).first else { return .none }
            return try value(sequence, .sequence, path)
        }
    }

    /// The messages in one field of another.
    private static func parts(_ region: ByteRegion, field: Int) throws -> [ByteRegion] {
        var ranges: [Range<Int>] = []
        try unsafe region.withBytes { bytes in
            var reader = unsafe ProtobufReader(bytes)
            while let found = try reader.next() {
                if found == field {
                    ranges.append(try reader.range())
                } else {
                    try reader.skip()
                }
            }
        }
        return ranges.compactMap { region.slice(offset: $0.lowerBound, count: $0.count) }
    }

    private static func tensor(_ region: ByteRegion, _ path: String) throws -> Tensor {
        // An empty tensor's message may itself be empty of data, but never of bytes.
        let proto = try ONNXTensor(region)
        guard
            let type = UInt8(exactly: proto.dataType.rawValue).flatMap(ElementType.init(rawValue:))
        else { throw CommandFailure("\(path): elements of type \(proto.dataType)") }
        guard let shape = Shape(proto.dimensions) else {
            throw CommandFailure("\(path): more than \(Shape.rankMax) dimensions")
        }
        let region = try proto.elements(
            in: ONNXExternalFiles(folder: PathName.directory(path)))
        let storage = TensorStorage(byteCount: region.count)
        unsafe region.withBytes { bytes in
            guard bytes.count > 0 else { return }
            unsafe storage.mutableBytes.copyMemory(from: bytes)
        }
        return try Tensor(
            elementType: type, shape: shape, storage: storage, byteCount: region.count)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Makes the head of a GGUF file, version 3: metadata, and where each tensor lies. The tensors'
/// bytes follow it in the order in which they were added, each padded to `alignment`.
///
/// Source: the GGUF specification (ggml, docs/gguf.md).
public struct GGUFWriter: Sendable {
    public static let alignment = GGUFFile.defaultAlignment

    private var entries: [UInt8] = []
    private var entryCount = 0
    private var tensors: [UInt8] = []
    private var tensorCount = 0
    private var dataSize = 0

    public init() {}

    // MARK: Metadata

    public mutating func add(_ key: String, _ value: Int) {
        // Readers expect sizes in 32 bits.
        begin(key, value < 0 || value > Int(UInt32.max) ? .int64 : .uint32)
        if value < 0 || value > Int(UInt32.max) {
            GGUFWriter.append(Int64(value), to: &entries)
        } else {
            GGUFWriter.append(UInt32(value), to: &entries)
        }
    }

    public mutating func add(_ key: String, _ value: Float) {
        begin(key, .float32)
        GGUFWriter.append(value.bitPattern, to: &entries)
    }

    public mutating func add(_ key: String, _ value: Bool) {
        begin(key, .bool)
        entries.append(value ? 1 : 0)
    }

    public mutating func add(_ key: String, _ value: String) {
        begin(key, .string)
        GGUFWriter.append(value, to: &entries)
    }

    public mutating func add(_ key: String, _ values: [String]) {
        begin(key, .array)
        GGUFWriter.append(GGUFValueType.string.rawValue, to: &entries)
        GGUFWriter.append(UInt64(values.count), to: &entries)
        for value in values { GGUFWriter.append(value, to: &entries) }
    }

    public mutating func add(_ key: String, _ values: [Int32]) {
        begin(key, .array)
        GGUFWriter.append(GGUFValueType.int32.rawValue, to: &entries)
        GGUFWriter.append(UInt64(values.count), to: &entries)
        for value in values { GGUFWriter.append(value, to: &entries) }
    }

    private mutating func begin(_ key: String, _ type: GGUFValueType) {
        entryCount += 1
        GGUFWriter.append(key, to: &entries)
        GGUFWriter.append(type.rawValue, to: &entries)
    }

    // MARK: Tensors

    /// - Parameter dimensions: slowest first, as `GGUFTensor` has them.
    /// - Returns: the bytes that it takes; nil when its rows are not whole blocks of the type.
    public mutating func addTensor(
        _ name: String, type: GGUFType, dimensions: [Int]
    ) -> Int? {
        guard
            let byteCount = type.byteCount(
                elements: dimensions.reduce(1, *), rowElements: dimensions.last ?? 1)
        else { return nil }
        tensorCount += 1
        GGUFWriter.append(name, to: &tensors)
        GGUFWriter.append(UInt32(dimensions.count), to: &tensors)
        for dimension in dimensions.reversed() {
            GGUFWriter.append(UInt64(dimension), to: &tensors)
        }
        GGUFWriter.append(type.rawValue, to: &tensors)
        GGUFWriter.append(UInt64(dataSize), to: &tensors)
        dataSize +=
            (byteCount + GGUFWriter.alignment - 1) / GGUFWriter.alignment
            * GGUFWriter.alignment
        return byteCount
    }

    /// Everything before the tensors' bytes, padded.
    public var header: [UInt8] {
        var bytes = Array("GGUF".utf8)
        GGUFWriter.append(UInt32(3), to: &bytes)
        GGUFWriter.append(UInt64(tensorCount), to: &bytes)
        GGUFWriter.append(UInt64(entryCount), to: &bytes)
        bytes += entries
        bytes += tensors
        while bytes.count % GGUFWriter.alignment != 0 { bytes.append(0) }
        return bytes
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        let utf8 = Array(text.utf8)
        append(UInt64(utf8.count), to: &bytes)
        bytes += utf8
    }

    private static func append<Value: FixedWidthInteger>(_ value: Value, to bytes: inout [UInt8]) {
        var rest = value.littleEndian
        for _ in 0..<(Value.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }
}

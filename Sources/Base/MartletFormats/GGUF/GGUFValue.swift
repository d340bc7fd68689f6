// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// A value of a GGUF file's metadata.
public enum GGUFValue: Sendable {
    /// Any of the format's unsigned and signed integers that fits.
    case integer(Int64)
    /// An unsigned integer beyond `Int64.max`.
    case unsigned(UInt64)
    case number(Double)
    case bool(Bool)
    /// A text; ill-formed UTF-8 is repaired by replacement.
    case string(String)
    case array(GGUFArray)

    public var int: Int? {
        if case .integer(let value) = self { return Int(exactly: value) }
        return nil
    }

    /// A number of either kind.
    public var double: Double? {
        switch self {
        case .number(let value): value
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .bool, .string, .array: nil
        }
    }

    public var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    public var array: GGUFArray? {
        if case .array(let value) = self { return value }
        return nil
    }
}

/// An array of a GGUF file's metadata, in place: a vocabulary of 150 000 texts costs nothing until
/// it is read. Its bounds were checked when the file was opened.
public struct GGUFArray: Sendable {
    /// The type of every element.
    public let elementType: GGUFValueType
    public let count: Int
    let region: ByteRegion

    /// The texts' bytes, as they are in the file; nil when the elements are not texts.
    /// Cost: one array per text.
    public func texts() -> [[UInt8]]? {
        guard elementType == .string else { return nil }
        var texts: [[UInt8]] = []
        texts.reserveCapacity(count)
        unsafe region.withBytes { bytes in
            var reader = unsafe ByteReader(bytes)
            for _ in 0..<count {
                guard let size = reader.readSize(), let text = unsafe reader.readBytes(size) else {
                    return
                }
                unsafe texts.append([UInt8](text))
            }
        }
        return texts
    }

    /// The elements as floating-point numbers; nil for texts.
    public func numbers() -> [Double]? {
        elements { $0.double }
    }

    /// The elements as integers; nil when one is not.
    public func integers() -> [Int]? {
        elements { $0.int }
    }

    public func bools() -> [Bool]? {
        elements { $0.bool }
    }

    private func elements<Element>(_ convert: (GGUFValue) -> Element?) -> [Element]? {
        var elements: [Element] = []
        elements.reserveCapacity(count)
        return unsafe region.withBytes { bytes in
            var reader = unsafe ByteReader(bytes)
            for _ in 0..<count {
                guard let value = elementType.readScalar(&reader), let element = convert(value)
                else { return nil }
                elements.append(element)
            }
            return elements
        }
    }
}

/// The types that metadata values have, by the file's own numbers.
public enum GGUFValueType: UInt32, Hashable, Sendable {
    case uint8 = 0
    case int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

    /// Bytes of one value; nil for texts and arrays, which say their length themselves.
    var fixedByteCount: Int? {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string, .array: nil
        }
    }

    /// Reads one value that is no text and no array; nil at the end of the bytes, and for a bool
    /// that is neither 0 nor 1.
    func readScalar(_ reader: inout ByteReader) -> GGUFValue? {
        switch self {
        case .uint8: reader.read(UInt8.self).map { .integer(Int64($0)) }
        case .int8: reader.read(Int8.self).map { .integer(Int64($0)) }
        case .uint16: reader.read(UInt16.self).map { .integer(Int64($0)) }
        case .int16: reader.read(Int16.self).map { .integer(Int64($0)) }
        case .uint32: reader.read(UInt32.self).map { .integer(Int64($0)) }
        case .int32: reader.read(Int32.self).map { .integer(Int64($0)) }
        case .int64: reader.read(Int64.self).map { .integer($0) }
        case .uint64:
            reader.read(UInt64.self).map { value in
                Int64(exactly: value).map { .integer($0) } ?? .unsigned(value)
            }
        case .float32: reader.readFloat().map { .number(Double($0)) }
        case .float64: reader.readDouble().map { .number($0) }
        case .bool: reader.readUInt8().flatMap { $0 <= 1 ? .bool($0 == 1) : nil }
        case .string, .array: nil
        }
    }
}

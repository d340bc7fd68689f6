// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// The head of a NumPy `.npy` file: element type, shape, and where the elements begin.
///
/// Source: NumPy Enhancement Proposal 1 (format versions 1.0 to 3.0). Only C-ordered arrays of
/// plain little-endian or single-byte elements are read.
public struct NPYHeader: Sendable, Hashable {
    /// NumPy's type code without its byte order: "f4", "i8", "b1", …
    public var typeCode: String
    /// Dimensions, outermost first.
    public var shape: [Int]
    /// Offset of the first element in the file, in bytes.
    public var dataOffset: Int

    public init(typeCode: String, shape: [Int], dataOffset: Int = 0) {
        self.typeCode = typeCode
        self.shape = shape
        self.dataOffset = dataOffset
    }

    private static let headerBytesMax = 65_536
    private static let rankMax = 32

    // MARK: Reading

    /// Reads the head of a file's bytes.
    /// - Throws: `FormatError` naming what is not as the format wants it.
    public init(parsing region: ByteRegion) throws(FormatError) {
        var reader = unsafe ByteReader(region.bytes)
        for expected in [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59] as [UInt8] {
            guard reader.readUInt8() == expected else {
                throw NPYHeader.malformed("it does not begin with the NPY magic")
            }
        }
        guard let major = reader.readUInt8(), reader.readUInt8() != nil, (1...3).contains(major)
        else { throw NPYHeader.malformed("its format version is not 1, 2 or 3") }
        let length =
            major == 1 ? reader.readUInt16().map(Int.init) : reader.readUInt32().map(Int.init)
        guard let length, length <= NPYHeader.headerBytesMax,
            let text = unsafe reader.readBytes(length)
        else { throw NPYHeader.malformed("its header is cut short or too long") }
        self = try NPYHeader.parse(
            header: unsafe String(decoding: text, as: UTF8.self), dataOffset: reader.offset)
    }

    private static func parse(header: String, dataOffset: Int) throws(FormatError) -> NPYHeader {
        guard header.allSatisfy(\.isASCII), let descriptor = quoted("descr", in: header),
            let order = word("fortran_order", in: header), let dimensions = tuple(in: header)
        else { throw NPYHeader.malformed("its header lacks descr, fortran_order or shape") }
        guard order == "False" else {
            throw NPYHeader.malformed("it is in Fortran order; save it in C order")
        }
        guard let byteOrder = descriptor.first, "<|".contains(byteOrder) else {
            throw NPYHeader.malformed(
                "elements of type '\(descriptor)' are not little-endian and plain")
        }
        return NPYHeader(
            typeCode: String(descriptor.dropFirst()), shape: dimensions, dataOffset: dataOffset)
    }

    private static func value(of key: String, in header: String) -> Substring? {
        guard let range = header.firstRange(of: "'\(key)'") else { return nil }
        return header[range.upperBound...].drop { $0 == ":" || $0 == " " }
    }

    private static func quoted(_ key: String, in header: String) -> Substring? {
        guard let rest = value(of: key, in: header), rest.first == "'" else { return nil }
        return rest.dropFirst().prefix { $0 != "'" }
    }

    private static func word(_ key: String, in header: String) -> Substring? {
        value(of: key, in: header)?.prefix(while: \.isLetter)
    }

    private static func tuple(in header: String) -> [Int]? {
        guard let rest = value(of: "shape", in: header), rest.first == "(",
            let end = rest.firstIndex(of: ")")
        else { return nil }
        let parts = rest[rest.index(after: rest.startIndex)..<end].split(separator: ",")
        guard parts.count <= rankMax else { return nil }
        var shape: [Int] = []
        for part in parts {
            let digits = part.filter { $0 != " " }
            if digits.isEmpty { continue }
            guard let dimension = Int(digits), dimension >= 0 else { return nil }
            shape.append(dimension)
        }
        return shape
    }

    private static func malformed(_ message: String) -> FormatError {
        FormatError(format: .npy, code: .malformed, message: message)
    }

    // MARK: Writing

    /// The head's bytes (format 1.0), padded so that the elements begin at a multiple of 64.
    public func serialized() -> [UInt8] {
        let order = typeCode.hasSuffix("1") ? "|" : "<"
        let dimensions =
            shape.count == 1 ? "\(shape[0])," : shape.map(String.init).joined(separator: ", ")
        var text =
            "{'descr': '\(order)\(typeCode)', 'fortran_order': False, 'shape': (\(dimensions)), }"
        let unpadded = 10 + text.utf8.count + 1
        text += String(repeating: " ", count: (64 - unpadded % 64) % 64) + "\n"
        let length = text.utf8.count
        let prefix: [UInt8] = [
            0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(length & 0xFF), UInt8(length >> 8),
        ]
        return prefix + Array(text.utf8)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A type whose arrays the scanner reads straight into memory.
protocol JSONArrayElement: BitwiseCopyable {
    static func scan(_ scanner: inout JSONScanner) throws(JSONError) -> Self
}

/// The types that `readNumbers` fills memory with.
public enum JSONNumberKind: Sendable {
    /// One byte each, 0 or 1; `true`, `false`, 1 and 0 are read.
    case bool
    case int8, int16, int32, int64
    case uint8, uint16, uint32, uint64
    /// Rounded once, from the decimal.
    case float32
    case float64

    public var byteWidth: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }
}

extension JSONScanner {
    /// Reads an array of numbers, flat or nested, into memory in row-major order.
    ///
    /// Every number is checked against the type's range; ragged nesting is refused. Memory may
    /// have any alignment.
    /// - Returns: what was read; the caller compares it with the shape it expected.
    /// - Throws: `.limitExceeded` when there are more numbers than `destination` holds.
    public mutating func readNumbers(
        into destination: UnsafeMutableRawBufferPointer, as kind: JSONNumberKind
    ) throws(JSONError) -> JSONArrayShape {
        switch kind {
        case .bool: try unsafe readArray(JSONFlag.self, into: destination)
        case .int8: try unsafe readArray(Int8.self, into: destination)
        case .int16: try unsafe readArray(Int16.self, into: destination)
        case .int32: try unsafe readArray(Int32.self, into: destination)
        case .int64: try unsafe readArray(Int64.self, into: destination)
        case .uint8: try unsafe readArray(UInt8.self, into: destination)
        case .uint16: try unsafe readArray(UInt16.self, into: destination)
        case .uint32: try unsafe readArray(UInt32.self, into: destination)
        case .uint64: try unsafe readArray(UInt64.self, into: destination)
        case .float32: try unsafe readArray(Float.self, into: destination)
        case .float64: try unsafe readArray(Double.self, into: destination)
        }
    }

    /// Reads an array of strings, flat or nested, appending each as a little-endian 4-byte length
    /// and its UTF-8 (the Open Inference Protocol's BYTES form).
    public mutating func readByteStrings(
        appendingTo bytes: inout [UInt8]
    ) throws(JSONError) -> JSONArrayShape {
        var shape = JSONArrayShape()
        try readNested(&shape) { (scanner, _) throws(JSONError) in
            let text = try scanner.readText()
            let start = bytes.count
            bytes.append(contentsOf: [0, 0, 0, 0])
            text.appendUnescaped(to: &bytes)
            let length = UInt32(truncatingIfNeeded: bytes.count - start - 4)
            for index in 0..<4 {
                bytes[start + index] = UInt8(truncatingIfNeeded: length >> UInt32(8 * index))
            }
        }
        return shape
    }

    private mutating func readArray<Element: JSONArrayElement>(
        _ type: Element.Type, into destination: UnsafeMutableRawBufferPointer
    ) throws(JSONError) -> JSONArrayShape {
        let width = MemoryLayout<Element>.stride
        let capacity = destination.count / width
        var shape = JSONArrayShape()
        try readNested(&shape) { (scanner, index) throws(JSONError) in
            guard index < capacity else {
                throw JSONError(
                    .limitExceeded, "more than the \(capacity) elements expected",
                    offset: scanner.position)
            }
            let value = try Element.scan(&scanner)
            unsafe destination.storeBytes(
                of: value, toByteOffset: index &* width, as: Element.self)
        }
        return shape
    }

    /// Walks nested arrays without recursion, calling `readLeaf` at every element that is none.
    @inline(__always)
    private mutating func readNested(
        _ shape: inout JSONArrayShape,
        _ readLeaf: (inout JSONScanner, Int) throws(JSONError) -> Void
    ) throws(JSONError) {
        var counts = InlineArray<16, Int>(repeating: 0)
        var level = -1
        var count = 0
        repeat {
            skipWhitespace()
            if position < source.count, source[position] == UInt8(ascii: "[") {
                level += 1
                guard level < JSONArrayShape.rankMax else {
                    throw JSONError(
                        .limitExceeded, "more than \(JSONArrayShape.rankMax) levels of arrays",
                        offset: position)
                }
                if shape.rank > 0, level >= shape.rank, count > 0 { throw ragged() }
                try enter()
                counts[level] = 0
            } else {
                if count == 0 { shape.rank = max(shape.rank, level + 1) }
                guard level + 1 == shape.rank else { throw ragged() }
                try readLeaf(&self, count)
                count &+= 1
            }
            while level >= 0 {
                // The plain case, ",1", spares the general step.
                if !isFirst, position + 1 < source.count, source[position] == UInt8(ascii: ","),
                    source[position + 1] &- UInt8(ascii: "0") <= 9
                {
                    position &+= 1
                    counts[level] &+= 1
                    break
                }
                if try nextElement() {
                    counts[level] &+= 1
                    break
                }
                guard shape.close(level: level, count: counts[level]) else { throw ragged() }
                shape.rank = max(shape.rank, level + 1)
                level -= 1
            }
        } while level >= 0
        shape.count = count
    }

    private func ragged() -> JSONError {
        JSONError(
            .typeMismatch, "nested arrays differ in length or depth", offset: position)
    }
}

/// A boolean as the one byte that tensors hold.
struct JSONFlag: JSONArrayElement {
    var byte: UInt8

    static func scan(_ scanner: inout JSONScanner) throws(JSONError) -> JSONFlag {
        if try scanner.peek() == .bool { return JSONFlag(byte: try scanner.readBool() ? 1 : 0) }
        let start = scanner.position
        let value = try scanner.readInteger(UInt8.self)
        guard value <= 1 else { throw scanner.outOfRange(start, "a boolean") }
        return JSONFlag(byte: value)
    }
}

extension JSONArrayElement where Self: FixedWidthInteger {
    @inline(__always)
    static func scan(_ scanner: inout JSONScanner) throws(JSONError) -> Self {
        try scanner.readInteger(Self.self)
    }
}

extension Int8: JSONArrayElement {}
extension Int16: JSONArrayElement {}
extension Int32: JSONArrayElement {}
extension Int64: JSONArrayElement {}
extension UInt8: JSONArrayElement {}
extension UInt16: JSONArrayElement {}
extension UInt32: JSONArrayElement {}
extension UInt64: JSONArrayElement {}

extension Float: JSONArrayElement {
    @inline(__always)
    static func scan(_ scanner: inout JSONScanner) throws(JSONError) -> Float {
        scanner.skipWhitespace()
        let start = scanner.position
        let decimal = try scanner.readDecimal()
        return try scanner.float(decimal, start: start)
    }
}

extension Double: JSONArrayElement {
    @inline(__always)
    static func scan(_ scanner: inout JSONScanner) throws(JSONError) -> Double {
        scanner.skipWhitespace()
        let start = scanner.position
        let decimal = try scanner.readDecimal()
        return try scanner.double(decimal, start: start)
    }
}

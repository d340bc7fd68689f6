// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Appends JSON to bytes, commas and quotes included. Compact: no white space.
///
/// The caller keeps containers balanced and gives each object member a key.
///
///     var writer = JSONWriter()
///     writer.beginObject()
///     writer.key("id"); writer.string("42")
///     writer.endObject()
public struct JSONWriter: Sendable {
    /// What becomes of NaN and the infinities, which JSON cannot say.
    public enum NonFinite: Sendable {
        case null
        /// `NaN`, `Infinity`, `-Infinity`: what Python's and Triton's readers take.
        case literal
    }

    public var bytes: [UInt8]
    public var nonFinite: NonFinite
    private var isCommaDue = false

    public init(appendingTo bytes: consuming [UInt8] = [], nonFinite: NonFinite = .null) {
        self.bytes = consume bytes
        self.nonFinite = nonFinite
    }

    // MARK: Containers

    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    public mutating func key(_ name: String) {
        separate()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
        isCommaDue = false
    }

    /// A name that needs no escapes: what a program knows in advance.
    public mutating func key(plain name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        isCommaDue = false
    }

    // MARK: Scalars

    public mutating func null() { literal("null") }
    public mutating func bool(_ value: Bool) { literal(value ? "true" : "false") }

    public mutating func string(_ value: String) {
        separate()
        quote(value)
    }

    /// A string from UTF-8; other bytes become U+FFFD.
    public mutating func string(utf8 value: UnsafeRawBufferPointer) {
        separate()
        if unsafe value.allSatisfy({ $0 < 0x80 }) {
            bytes.append(UInt8(ascii: "\""))
            for index in 0..<value.count { unsafe escape(value[index]) }
            bytes.append(UInt8(ascii: "\""))
        } else {
            quote(unsafe String(decoding: value, as: UTF8.self))
        }
    }

    public mutating func integer(_ value: Int) { integer(Int64(value)) }
    public mutating func integer(_ value: UInt32) { integer(UInt64(value)) }

    public mutating func integer(_ value: Int64) {
        withSink(ByteSink.numberBytesMax) { sink in
            if value < 0 { sink.append(UInt8(ascii: "-")) }
            sink.append(digits: value.magnitude)
        }
    }

    public mutating func integer(_ value: UInt64) {
        withSink(ByteSink.numberBytesMax) { $0.append(digits: value) }
    }

    /// The shortest decimal that reads back as the same double.
    public mutating func number(_ value: Double) {
        let nonFinite = nonFinite
        withSink(ByteSink.numberBytesMax) {
            $0.append(value, nonFinite, PowersOfTen.shared)
        }
    }

    /// The shortest decimal that reads back as the same float.
    public mutating func number(_ value: Float) {
        separate()
        unsafe withUnsafeBytes(of: value) { unsafe appendFloats($0, count: 1) }
    }

    /// Text that already is JSON.
    public mutating func raw(_ json: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
    }

    // MARK: Parts

    mutating func separate() {
        if isCommaDue { bytes.append(UInt8(ascii: ",")) }
        isCommaDue = true
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        isCommaDue = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        isCommaDue = true
    }

    private mutating func literal(_ text: StaticString) {
        separate()
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { utf8 in
            var start = 0
            for index in 0..<utf8.count {
                let byte = unsafe utf8[index]
                guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
                else { continue }
                unsafe bytes.append(contentsOf: utf8[start..<index])
                escape(byte)
                start = index + 1
            }
            unsafe bytes.append(contentsOf: utf8[start...])
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case 0x0A: bytes.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "n")])
        case 0x0D: bytes.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "r")])
        case 0x09: bytes.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "t")])
        case 0..<0x20:
            let digits = Array("0123456789abcdef".utf8)
            bytes.append(contentsOf: Array("\\u00".utf8))
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 15)])
        default: bytes.append(byte)
        }
    }

    private mutating func withSink(_ reserved: Int, _ body: (inout ByteSink) -> Void) {
        separate()
        appendUninitialized(reserved, body)
    }

    /// Lends room for `reserved` bytes, on the stack where it is small, and appends what was
    /// written.
    @inline(__always)
    mutating func appendUninitialized(_ reserved: Int, _ body: (inout ByteSink) -> Void) {
        unsafe withUnsafeTemporaryAllocation(byteCount: reserved, alignment: 8) { memory in
            var sink = unsafe ByteSink(memory)
            body(&sink)
            unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(memory)[..<sink.count])
        }
    }
}

extension ByteSink {
    @inline(__always)
    mutating func append(
        _ value: Double, _ nonFinite: JSONWriter.NonFinite, _ powers: PowersOfTen
    ) {
        guard value.isFinite else {
            append(nonFinite: value, nonFinite)
            return
        }
        if value.sign == .minus { append(UInt8(ascii: "-")) }
        append(ShortestDecimal(value.magnitude, powers))
    }

    @inline(never)
    private mutating func append(nonFinite value: Double, _ policy: JSONWriter.NonFinite) {
        let text: StaticString
        switch policy {
        case .null: text = "null"
        case .literal: text = value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
        }
        for index in 0..<text.utf8CodeUnitCount { unsafe append(text.utf8Start[index]) }
    }
}

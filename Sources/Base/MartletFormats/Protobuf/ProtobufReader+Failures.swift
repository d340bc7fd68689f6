// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The paths that a well-formed message never takes, kept out of the inlined reads.
extension ProtobufReader {
    /// Passes over a group's fields to the end tag with the same number.
    @usableFromInline
    mutating func skipGroup(_ number: Int, depthLeft: Int) throws(FormatError) {
        guard depthLeft > 0 else { throw tooDeep(at: offset) }
        while offset < end {
            let start = offset
            let tag = try rawVarint()
            guard tag <= UInt64(UInt32.max), tag >= 8,
                let type = ProtobufWireType(rawValue: UInt8(truncatingIfNeeded: tag & 7))
            else { throw badTag(tag, at: start) }
            switch type {
            case .varint: _ = try rawVarint()
            case .fixed64: try advance(8)
            case .fixed32: try advance(4)
            case .lengthDelimited: _ = try rawLength()
            case .startGroup: try skipGroup(Int(tag >> 3), depthLeft: depthLeft - 1)
            case .endGroup:
                if Int(tag >> 3) == number { return }
                throw strayEndGroup(at: start)
            }
        }
        throw truncated("a group", at: offset)
    }

    @usableFromInline
    func truncated(_ what: String, at offset: Int) -> FormatError {
        FormatError(
            format: .protobuf, code: .truncated, message: "the message ends inside \(what)",
            offset: offset)
    }

    @usableFromInline
    func lyingLength(_ length: UInt64, at offset: Int) -> FormatError {
        FormatError(
            format: .protobuf, code: .truncated,
            message: "field \(field) announces \(length) bytes, \(end - self.offset) are left",
            offset: offset)
    }

    @usableFromInline
    func overlongVarint(at offset: Int) -> FormatError {
        FormatError(
            format: .protobuf, code: .malformed, message: "a varint has more than 64 bits",
            offset: offset)
    }

    @usableFromInline
    func badTag(_ tag: UInt64, at offset: Int) -> FormatError {
        FormatError(
            format: .protobuf, code: .malformed, message: "\(tag) is no field's tag",
            offset: offset)
    }

    @usableFromInline
    func strayEndGroup(at offset: Int) -> FormatError {
        FormatError(
            format: .protobuf, code: .malformed, message: "a group ends that was not begun",
            offset: offset)
    }

    @usableFromInline
    func mismatch(_ expected: ProtobufWireType) -> FormatError {
        FormatError(
            format: .protobuf, code: .malformed,
            message: "field \(field): expected wire type \(expected), got \(wireType)",
            offset: offset)
    }

    @usableFromInline
    func notText(at offset: Int) -> FormatError {
        FormatError(
            format: .protobuf, code: .malformed, message: "field \(field): the string is not UTF-8",
            offset: offset)
    }

    @usableFromInline
    func tooDeep(at offset: Int) -> FormatError {
        FormatError(
            format: .protobuf, code: .limitExceeded, message: "messages are nested too deeply",
            offset: offset)
    }
}

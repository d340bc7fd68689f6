// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// One value of the Redis protocol (RESP2).
package enum RESPValue: Sendable, Hashable {
    case text(String)
    case error(String)
    case integer(Int64)
    case bytes([UInt8])
    case list([RESPValue])
    case null

    var integer: Int64? {
        if case .integer(let value) = self { return value }
        return nil
    }

    var list: [RESPValue]? {
        if case .list(let values) = self { return values }
        return nil
    }

    var bytes: [UInt8]? {
        if case .bytes(let value) = self { return value }
        return nil
    }
}

/// Bytes that are no RESP, or more of it than is read.
package struct RESPError: Error, Sendable, Hashable, CustomStringConvertible {
    package let message: String
    package var description: String { message }
}

/// Takes replies out of bytes that come in pieces. Bounded: values, lists and lines beyond these
/// sizes are errors, before anything is allocated for them.
package struct RESPReader: Sendable {
    package static let bytesMax = 32 << 20
    package static let listMax = 4_096
    package static let depthMax = 8
    package static let lineMax = 64 << 10

    private var buffer: [UInt8] = []
    private var place = 0
    /// More bytes are needed up to here: a large value is not looked at again with each piece.
    private var needed = 0

    package init() {}

    package mutating func feed(_ bytes: some Collection<UInt8>) {
        if place > 0, place == buffer.count || place > 64 << 10 {
            buffer.removeSubrange(..<place)
            needed -= place
            place = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole reply; nil: more bytes are needed.
    package mutating func next() throws(RESPError) -> RESPValue? {
        guard buffer.count > place, buffer.count >= needed else { return nil }
        var cursor = place
        var elements = 0
        guard let value = try read(&cursor, depth: 0, &elements) else { return nil }
        place = cursor
        needed = 0
        return value
    }

    private mutating func read(
        _ cursor: inout Int, depth: Int, _ elements: inout Int
    ) throws(RESPError) -> RESPValue? {
        guard let line = try line(&cursor) else { return nil }
        guard let kind = line.first else { throw RESPError(message: "an empty reply") }
        let rest = line.dropFirst()
        switch kind {
        case UInt8(ascii: "+"): return .text(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: "-"): return .error(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: ":"): return .integer(try number(rest))
        case UInt8(ascii: "$"):
            let count = try number(rest)
            if count == -1 { return .null }
            guard count >= 0, count <= RESPReader.bytesMax else {
                throw RESPError(message: "a value of \(count) bytes")
            }
            return try bytes(Int(count), &cursor)
        case UInt8(ascii: "*"):
            let count = try number(rest)
            if count == -1 { return .null }
            elements += Int(clamping: count)
            guard count >= 0, elements <= RESPReader.listMax, depth < RESPReader.depthMax else {
                throw RESPError(message: "a list of \(count) values at depth \(depth)")
            }
            var values: [RESPValue] = []
            for _ in 0..<count {
                guard let value = try read(&cursor, depth: depth + 1, &elements) else {
                    return nil
                }
                values.append(value)
            }
            return .list(values)
        default: throw RESPError(message: "a reply that begins with byte \(kind)")
        }
    }

    private mutating func bytes(_ count: Int, _ cursor: inout Int) throws(RESPError) -> RESPValue? {
        let end = cursor + count
        guard buffer.count >= end + 2 else {
            needed = end + 2
            return nil
        }
        guard buffer[end] == 0x0D, buffer[end + 1] == 0x0A else {
            throw RESPError(message: "a value longer than it says")
        }
        let value = Array(buffer[cursor..<end])
        cursor = end + 2
        return .bytes(value)
    }

    private func line(_ cursor: inout Int) throws(RESPError) -> ArraySlice<UInt8>? {
        let limit = min(buffer.count, cursor + RESPReader.lineMax)
        var index = cursor
        while index < limit, buffer[index] != 0x0D, buffer[index] != 0x0A { index += 1 }
        guard index < limit else {
            guard limit < cursor + RESPReader.lineMax else {
                throw RESPError(message: "a line of more than \(RESPReader.lineMax) bytes")
            }
            return nil
        }
        guard buffer[index] == 0x0D else { throw RESPError(message: "a line without its CR") }
        guard index + 1 < buffer.count else { return nil }
        guard buffer[index + 1] == 0x0A else { throw RESPError(message: "a CR without its LF") }
        defer { cursor = index + 2 }
        return buffer[cursor..<index]
    }

    private func number(_ digits: ArraySlice<UInt8>) throws(RESPError) -> Int64 {
        guard !digits.isEmpty, digits.count <= 20,
            let value = Int64(String(decoding: digits, as: UTF8.self))
        else { throw RESPError(message: "a number that is none") }
        return value
    }
}

/// Commands as Redis reads them.
package enum RESPCommand {
    package static func append(_ parts: [[UInt8]], to bytes: inout [UInt8]) {
        bytes += Array("*\(parts.count)\r\n".utf8)
        for part in parts {
            bytes += Array("$\(part.count)\r\n".utf8)
            bytes += part
            bytes += [0x0D, 0x0A]
        }
    }
}

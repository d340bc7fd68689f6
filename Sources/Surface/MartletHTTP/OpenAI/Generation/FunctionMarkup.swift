// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// The inside of `<function=name>`: an object of arguments as it is, or `<parameter=key>` marks
/// with values between, made into one.
struct FunctionMarkup: Sendable {
    private enum Form { case unknown, object, parameters, over }

    private let properties: JSONValue?
    private var form = Form.unknown
    private var shape = ValueShape()
    private var pending: [UInt8] = []
    private var count = 0

    private static let begin = Array("<parameter=".utf8)
    private static let end = Array("</parameter>".utf8)
    private static let bytesMax = 1 << 20

    /// - Parameter parameters: the tool's schema, for which values are texts.
    init(_ parameters: JSONValue = .null) { properties = parameters["properties"] }

    /// - Returns: what is certain of the arguments.
    mutating func append(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        for byte in bytes {
            switch form {
            case .unknown:
                if [0x20, 0x0A, 0x0D, 0x09].contains(byte) { continue }
                form = byte == UInt8(ascii: "{") ? .object : .parameters
                if form == .object { pass(byte, &result) } else { pending.append(byte) }
            case .object: pass(byte, &result)
            case .parameters:
                pending.append(byte)
                if byte == UInt8(ascii: ">"), pending.suffix(12).elementsEqual(FunctionMarkup.end) {
                    result += parameter()
                }
                if pending.count > FunctionMarkup.bytesMax { form = .over }
            case .over: break
            }
        }
        return result
    }

    private mutating func pass(_ byte: UInt8, _ result: inout [UInt8]) {
        result.append(byte)
        if case .last = shape.take(byte) { form = .over }
    }

    /// What ends the arguments.
    mutating func finish() -> [UInt8] {
        switch form {
        case .object: []
        case .over where count == 0: []
        default: Array((count == 0 ? "{}" : "}").utf8)
        }
    }

    private mutating func parameter() -> [UInt8] {
        defer { pending = [] }
        let text = String(decoding: pending.dropLast(FunctionMarkup.end.count), as: UTF8.self)
        let bytes = Array(text.utf8)
        guard
            let start = bytes.indices.first(where: {
                bytes[$0...].starts(with: FunctionMarkup.begin)
            }),
            let close = bytes[start...].firstIndex(of: UInt8(ascii: ">"))
        else { return [] }
        let key = String(
            decoding: bytes[(start + FunctionMarkup.begin.count)..<close], as: UTF8.self)
        var value = bytes[(close + 1)...]
        // Each value stands on lines of its own.
        if value.first == 0x0A { value = value.dropFirst() }
        if value.last == 0x0A { value = value.dropLast() }
        defer { count += 1 }
        return Array((count == 0 ? "{" : ", ").utf8) + JSONValue.string(key).serialized()
            + Array(": ".utf8) + written(Array(value), key)
    }

    private func written(_ value: [UInt8], _ key: String) -> [UInt8] {
        let isText = properties?[key]?["type"] == "string"
        if !isText, (try? JSONValue(parsing: value)) != nil { return value }
        return JSONValue.string(String(decoding: value, as: UTF8.self)).serialized()
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Reads one call, an object with a name and arguments, as its bytes come: arguments are handed on
/// as they are written, once the name is known.
struct CallScanner: Sendable {
    enum Event: Sendable, Equatable {
        case name(String)
        case arguments([UInt8])
        case done
        /// It is no call of a tool that there is.
        case failed
    }

    private enum Place { case start, key, inKey, colon, value, inValue, next, over }

    private let names: [String]
    private var place = Place.start
    private var key: [UInt8] = []
    private var value: [UInt8] = []
    private var name: String?
    /// Arguments that came before the name.
    private var early: [UInt8]?
    private var hasArguments = false
    private var streams = false
    private var shape = ValueShape()

    init(_ names: [String]) { self.names = names }

    /// Arguments alone, of a tool whose name was read already.
    init(argumentsOf name: String) {
        names = [name]
        self.name = name
        place = .value
        key = Array("arguments".utf8)
        isBare = true
        hasArguments = true
        streams = true
    }

    private var isBare = false
    /// Something was handed on: what follows is no content any more.
    private(set) var hasBegun = false

    mutating func take(_ byte: UInt8, _ events: inout [Event]) {
        let isSpace = byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
        switch place {
        case .start:
            if isSpace { return }
            place = byte == UInt8(ascii: "{") ? .key : fail(&events)
        case .key, .next:
            if isSpace { return }
            if byte == UInt8(ascii: "}") { return finish(&events) }
            if place == .next {
                place = byte == UInt8(ascii: ",") ? .key : fail(&events)
            } else if byte == UInt8(ascii: "\"") {
                key = []
                place = .inKey
            } else {
                place = fail(&events)
            }
        case .inKey:
            if byte == UInt8(ascii: "\"") { place = .colon } else { key.append(byte) }
            if key.count > 64 { place = fail(&events) }
        case .colon:
            if isSpace { return }
            place = byte == UInt8(ascii: ":") ? .value : fail(&events)
            if place == .value { begin(&events) }
        case .value:
            if isSpace { return }
            if isBare, byte != UInt8(ascii: "{") {
                place = fail(&events)
                return
            }
            shape = ValueShape()
            place = .inValue
            // Arguments in a string are read once they are there.
            if byte == UInt8(ascii: "\"") { streams = false }
            takeValue(byte, &events)
        case .inValue: takeValue(byte, &events)
        case .over: break
        }
    }

    private mutating func fail(_ events: inout [Event]) -> Place {
        events.append(.failed)
        return .over
    }

    private static let argumentKeys = ["arguments", "parameters", "input"].map { Array($0.utf8) }

    private mutating func begin(_ events: inout [Event]) {
        value = []
        streams = name != nil && CallScanner.argumentKeys.contains(key)
        if streams { hasArguments = true }
        // What a call has none of is somebody's answer.
        let known =
            CallScanner.argumentKeys + ["name", "function", "type", "id"].map { Array($0.utf8) }
        if !known.contains(key) { place = fail(&events) }
    }

    private mutating func takeValue(_ byte: UInt8, _ events: inout [Event]) {
        switch shape.take(byte) {
        case .inside: put(byte, &events)
        case .last:
            put(byte, &events)
            endValue(&events)
        case .behind:
            endValue(&events)
            if place == .next { take(byte, &events) }
        }
    }

    private mutating func put(_ byte: UInt8, _ events: inout [Event]) {
        guard streams else {
            value.append(byte)
            return
        }
        hasBegun = true
        if case .arguments(var bytes)? = events.last {
            bytes.append(byte)
            events[events.count - 1] = .arguments(bytes)
        } else {
            events.append(.arguments([byte]))
        }
    }

    private mutating func endValue(_ events: inout [Event]) {
        place = .next
        if isBare {
            place = .over
            events.append(.done)
            return
        }
        if streams { return }
        if key.elementsEqual("name".utf8) {
            return take(name: try? JSONValue(parsing: value), &events)
        }
        if key.elementsEqual("function".utf8) { return takeFunction(&events) }
        guard CallScanner.argumentKeys.contains(key) else { return }
        if let text = (try? JSONValue(parsing: value))?.stringValue { value = Array(text.utf8) }
        guard name != nil else {
            early = value
            return
        }
        hasArguments = true
        hasBegun = true
        events.append(.arguments(value))
    }

    private mutating func take(name value: JSONValue?, _ events: inout [Event]) {
        guard let found = value?.stringValue, names.contains(found), name == nil else {
            place = fail(&events)
            return
        }
        name = found
        events.append(.name(found))
        guard let early else { return }
        hasArguments = true
        hasBegun = true
        events.append(.arguments(early))
    }

    /// OpenAI's own form has both one level down.
    private mutating func takeFunction(_ events: inout [Event]) {
        if value.first == UInt8(ascii: "\"") {
            return take(name: try? JSONValue(parsing: value), &events)
        }
        var inner = CallScanner(names)
        var found: [Event] = []
        for byte in value { inner.take(byte, &found) }
        guard found.last == .done, name == nil else {
            place = fail(&events)
            return
        }
        name = ""
        hasArguments = true
        hasBegun = true
        events += found.dropLast()
    }

    private mutating func finish(_ events: inout [Event]) {
        guard name != nil else {
            place = fail(&events)
            return
        }
        if !hasArguments { events.append(.arguments(Array("{}".utf8))) }
        place = .over
        events.append(.done)
    }
}

/// Where a JSON value ends.
struct ValueShape: Sendable {
    enum Part { case inside, last, behind }

    private var depth = 0
    private var isText = false
    private var isEscape = false
    private var isPlain = false

    mutating func take(_ byte: UInt8) -> Part {
        if isText {
            if isEscape {
                isEscape = false
            } else if byte == UInt8(ascii: "\\") {
                isEscape = true
            } else if byte == UInt8(ascii: "\"") {
                isText = false
                return depth == 0 ? .last : .inside
            }
            return .inside
        }
        if isPlain {
            let isEnd = [0x20, 0x0A, 0x0D, 0x09, 0x2C, 0x7D, 0x5D].contains(byte)
            return isEnd ? .behind : .inside
        }
        switch byte {
        case UInt8(ascii: "\""): isText = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth -= 1
            return depth <= 0 ? .last : .inside
        default: if depth == 0 { isPlain = true }
        }
        return .inside
    }
}

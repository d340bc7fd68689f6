// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension TemplateInterpreter {
    /// Calls a method of a string, list or dictionary.
    mutating func method(
        _ name: String, of value: TemplateValue, _ positional: [TemplateValue],
        _ named: TemplateObject
    ) throws(TemplateError) -> TemplateValue {
        switch value {
        case .string(let text): return try method(name, of: text, positional, named)
        case .object(let object): return try method(name, of: object, positional)
        case .list(let values), .tuple(let values):
            guard let wanted = positional.first else { throw fail("\(name) takes a value") }
            try charge(values.count)
            if name == "count" {
                return .integer(values.count { TemplateValue.equal($0, wanted) })
            }
            guard let place = values.firstIndex(where: { TemplateValue.equal($0, wanted) }) else {
                throw fail("the value is not in the list")
            }
            return .integer(place)
        default: throw fail("'\(value.kind)' has no '\(name)'")
        }
    }

    private mutating func method(
        _ name: String, of object: TemplateObject, _ positional: [TemplateValue]
    ) throws(TemplateError) -> TemplateValue {
        switch name {
        case "keys": return try made(object.keys.map { .string($0) })
        case "values": return try made(object.keys.map { object[$0] ?? .none })
        case "items":
            return try made(object.keys.map { .tuple([.string($0), object[$0] ?? .none]) })
        default:
            guard case .string(let key)? = positional.first else {
                return positional.dropFirst().first ?? .none
            }
            return object[key] ?? positional.dropFirst().first ?? .none
        }
    }

    private func string(
        _ values: [TemplateValue], _ index: Int, _ name: String
    ) throws(TemplateError) -> String {
        guard index < values.count, case .string(let text) = values[index] else {
            throw fail("\(name) takes a text")
        }
        return text
    }

    private mutating func method(
        _ name: String, of text: String, _ positional: [TemplateValue], _ named: TemplateObject
    ) throws(TemplateError) -> TemplateValue {
        try charge(1 + text.utf8.count / 16)
        switch name {
        case "strip", "lstrip", "rstrip": return try strip(name, text, positional)
        case "split", "rsplit": return try split(name, text, positional, named)
        case "splitlines":
            var lines = TextSearch.split(
                TextSearch.split(text, by: "\r\n").joined(separator: "\n"), by: "\n")
            if lines.last == "" { lines.removeLast() }
            return try made(lines.map { .string($0) })
        case "startswith", "endswith":
            var parts = positional.first?.elements ?? []
            if positional.first?.elements == nil {
                parts = [.string(try string(positional, 0, name))]
            }
            return .bool(
                parts.contains { part in
                    guard case .string(let part) = part else { return false }
                    return name == "startswith"
                        ? text.utf8.starts(with: part.utf8)
                        : text.utf8.reversed().starts(with: part.utf8.reversed())
                })
        case "removeprefix":
            let part = try string(positional, 0, name)
            guard text.utf8.starts(with: part.utf8) else { return .string(text) }
            return .string(String(decoding: text.utf8.dropFirst(part.utf8.count), as: UTF8.self))
        case "removesuffix":
            let part = try string(positional, 0, name)
            guard text.utf8.reversed().starts(with: part.utf8.reversed()) else {
                return .string(text)
            }
            return .string(String(decoding: text.utf8.dropLast(part.utf8.count), as: UTF8.self))
        case "replace":
            let count = positional.count > 2 ? positional[2].asInteger ?? -1 : -1
            return try replaced(
                text, try string(positional, 0, name), try string(positional, 1, name),
                countMax: count < 0 ? .max : count)
        case "find", "rfind", "index", "count":
            return try found(name, try string(positional, 0, name), in: text)
        case "join":
            guard let list = positional.first else { throw fail("join takes a list") }
            return try joined(try elements(of: list), by: text)
        case "format": return try made(try braced(text, positional, named))
        case "zfill":
            let width = min(positional.first?.asInteger ?? 0, 4096)
            let missing = max(0, width - text.unicodeScalars.count)
            let isSigned =
                text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+")
            let sign = isSigned ? String(text.prefix(1)) : ""
            return try made(
                sign + String(repeating: "0", count: missing) + text.dropFirst(sign.count))
        default: return try cased(name, text)
        }
    }

    private mutating func strip(
        _ name: String, _ text: String, _ positional: [TemplateValue]
    ) throws(TemplateError) -> TemplateValue {
        let (left, right) = (name != "rstrip", name != "lstrip")
        switch positional.first {
        case nil, .some(.none): return .string(TextSearch.trimmed(text, left: left, right: right))
        case .some(.string(let cut)):
            let set = Set(cut.unicodeScalars)
            return .string(
                TextSearch.trimmed(text, left: left, right: right) { set.contains($0) })
        default: throw fail("\(name) takes a text")
        }
    }

    private mutating func split(
        _ name: String, _ text: String, _ positional: [TemplateValue], _ named: TemplateObject
    ) throws(TemplateError) -> TemplateValue {
        let limit = (positional.count > 1 ? positional[1] : named["maxsplit"])?.asInteger ?? -1
        let separator = positional.first ?? named["sep"] ?? .none
        guard case .string(let part) = separator else {
            var words = text.unicodeScalars.split(whereSeparator: TextSearch.isSpace).map(
                String.init)
            if limit >= 0, words.count > limit + 1 {
                guard limit == 0 || name == "split" else {
                    throw TemplateError(
                        .unsupported, "rsplit by white space with a limit", line: line)
                }
                let rest = text.unicodeScalars.split(
                    maxSplits: limit, whereSeparator: TextSearch.isSpace
                ).map(String.init)
                words = Array(rest.prefix(limit + 1))
            }
            return try made(words.map { .string($0) })
        }
        guard !part.isEmpty else { throw fail("split takes a separator that is not empty") }
        var pieces = TextSearch.split(
            text, by: part, countMax: limit < 0 || name == "rsplit" ? .max : limit)
        if name == "rsplit", limit >= 0, pieces.count > limit + 1 {
            let head = pieces[..<(pieces.count - limit)].joined(separator: part)
            pieces = [head] + pieces.suffix(limit)
        }
        return try made(pieces.map { .string($0) })
    }

    mutating func replaced(
        _ text: String, _ old: String, _ new: String, countMax: Int
    ) throws(TemplateError) -> TemplateValue {
        guard !old.isEmpty else {
            throw TemplateError(.unsupported, "replacing an empty text", line: line)
        }
        let pieces = TextSearch.split(text, by: old, countMax: countMax)
        let (added, overflow) = (pieces.count - 1).multipliedReportingOverflow(by: new.utf8.count)
        try check(byteCount: overflow ? .max : text.utf8.count + added)
        return try made(pieces.joined(separator: new))
    }

    private mutating func found(
        _ name: String, _ part: String, in text: String
    ) throws(TemplateError) -> TemplateValue {
        let bytes = Array(text.utf8)
        let places = TextSearch.places(
            of: Array(part.utf8), in: bytes,
            countMax: name == "find" || name == "index" ? 1 : .max)
        if name == "count" { return .integer(places.count) }
        guard let place = name == "rfind" ? places.last : places.first else {
            if name == "index" { throw fail("the text is not found") }
            return .integer(-1)
        }
        // Characters, not bytes.
        return .integer(bytes[..<place].count { $0 & 0xC0 != 0x80 })
    }

    mutating func joined(
        _ values: [TemplateValue], by separator: String
    ) throws(TemplateError) -> TemplateValue {
        var parts: [String] = []
        var byteCount = 0
        for value in values {
            parts.append(try text(of: value))
            byteCount += (parts.last?.utf8.count ?? 0) + separator.utf8.count
            try check(byteCount: byteCount)
        }
        return try made(parts.joined(separator: separator))
    }

    func cased(_ name: String, _ text: String) throws(TemplateError) -> TemplateValue {
        let scalars = text.unicodeScalars
        switch name {
        case "upper": return .string(text.uppercased())
        case "lower": return .string(text.lowercased())
        case "capitalize":
            return .string(text.prefix(1).uppercased() + text.dropFirst().lowercased())
        case "title":
            var result = ""
            var isInside = false
            for character in text {
                result += isInside ? character.lowercased() : character.uppercased()
                isInside = character.isLetter
            }
            return .string(result)
        case "isdigit":
            return .bool(
                !scalars.isEmpty
                    && scalars.allSatisfy {
                        $0.properties.numericType == .decimal || $0.properties.numericType == .digit
                    })
        case "isalpha":
            return .bool(!scalars.isEmpty && scalars.allSatisfy { $0.properties.isAlphabetic })
        case "isspace": return .bool(!scalars.isEmpty && scalars.allSatisfy(TextSearch.isSpace))
        case "isupper":
            return .bool(text != text.lowercased() && text == text.uppercased())
        case "islower":
            return .bool(text != text.uppercased() && text == text.lowercased())
        default: throw fail("'str' has no '\(name)'")
        }
    }

    // MARK: Formatting

    /// `'%s of %d' % values`.
    mutating func formatted(
        _ format: String, _ value: TemplateValue
    ) throws(TemplateError) -> String {
        var values: [TemplateValue] = [value]
        if case .tuple(let parts) = value { values = parts }
        var result = ""
        var next = 0
        var isMark = false
        for character in format {
            guard isMark else {
                if character == "%" { isMark = true } else { result.append(character) }
                continue
            }
            isMark = false
            if character == "%" {
                result.append("%")
                continue
            }
            guard next < values.count else { throw fail("too few values for a format") }
            defer { next += 1 }
            switch character {
            case "s": result += try text(of: values[next])
            case "r": result += try representation(values[next])
            case "d", "i":
                guard let number = values[next].asNumber, number.magnitude < 9e18 else {
                    throw fail("%d takes a number")
                }
                result += String(Int(number))
            default:
                throw TemplateError(.unsupported, "the format %\(character)", line: line)
            }
            try check(byteCount: result.utf8.count)
        }
        return result
    }

    /// `'{} {0} {name}'.format(…)`, without format specifications.
    private mutating func braced(
        _ format: String, _ positional: [TemplateValue], _ named: TemplateObject
    ) throws(TemplateError) -> String {
        var result: [UInt8] = []
        let bytes = Array(format.utf8)
        var place = 0
        var next = 0
        while place < bytes.count {
            let byte = bytes[place]
            let isDouble = place + 1 < bytes.count && bytes[place + 1] == byte
            guard byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}") else {
                result.append(byte)
                place += 1
                continue
            }
            if isDouble {
                result.append(byte)
                place += 2
                continue
            }
            guard byte == UInt8(ascii: "{"),
                let end = bytes[place...].firstIndex(of: UInt8(ascii: "}"))
            else { throw fail("a format with a single brace") }
            let name = String(decoding: bytes[place + 1..<end], as: UTF8.self)
            let value: TemplateValue?
            if name.isEmpty {
                value = next < positional.count ? positional[next] : nil
                next += 1
            } else if let index = Int(name) {
                value = positional.indices.contains(index) ? positional[index] : nil
            } else {
                value = named[name]
            }
            guard let value else { throw fail("a format without the value '\(name)'") }
            result += Array(try text(of: value).utf8)
            try check(byteCount: result.count)
            place = end + 1
        }
        return String(decoding: result, as: UTF8.self)
    }
}

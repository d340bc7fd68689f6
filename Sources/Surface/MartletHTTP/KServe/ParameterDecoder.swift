// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing

/// Reads the protocol's parameters: names with a boolean, a number or a string each.
enum ParameterDecoder {
    private static let countMax = 1_024

    /// - Parameter take: reads the value of a parameter that the caller keeps for itself; false
    ///   leaves it to be read here. Such parameters steer the transport and go no further.
    static func read(
        _ scanner: inout JSONScanner,
        taking take: (JSONText, inout JSONScanner) throws -> Bool = { _, _ in false }
    ) throws -> Parameters {
        var parameters: Parameters = [:]
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            if try take(key, &scanner) { continue }
            let name = key.string
            guard parameters.count < countMax else {
                throw ServingError(.invalidArgument, "more than \(countMax) parameters")
            }
            parameters[name] = try parameter(try scanner.readValue(), name)
        }
        return parameters
    }

    static func parameter(
        _ value: JSONValue, _ name: String
    ) throws(ServingError) -> ParameterValue {
        switch value {
        case .bool(let value): return .bool(value)
        case .integer(let value): return .int(value)
        case .number(let value):
            // Whole numbers above Int64.max, which only a UInt64 holds.
            if value >= 0x1p63, let whole = UInt64(exactly: value) { return .uint(whole) }
            return .double(value)
        case .string(let value): return .string(value)
        case .null, .array, .object:
            throw ServingError(
                .invalidArgument,
                "parameter '\(name)' must be a boolean, a number or a string")
        }
    }
}

extension JSONWriter {
    /// The members of a parameters object, sorted by name.
    mutating func members(_ parameters: Parameters) {
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) {
            key(name)
            switch value {
            case .bool(let value): bool(value)
            case .int(let value): integer(value)
            case .uint(let value): integer(value)
            case .double(let value): number(value)
            case .string(let value): string(value)
            }
        }
    }
}

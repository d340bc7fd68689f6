// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// An object's members in the order they were written. A repeated name keeps its first place and
/// takes its last value.
///
/// Lookup is a linear search up to eight members and a hash lookup above.
public struct JSONObject: Sendable {
    private static let linearMax = 8

    public private(set) var keys: [String] = []
    public private(set) var values: [JSONValue] = []
    private var places: [String: Int] = [:]

    public init() {}

    public var count: Int { keys.count }
    public var isEmpty: Bool { keys.isEmpty }

    public subscript(key: String) -> JSONValue? {
        get { place(of: key).map { values[$0] } }
        set {
            guard let newValue else {
                remove(key)
                return
            }
            if let place = place(of: key) {
                values[place] = newValue
                return
            }
            keys.append(key)
            values.append(newValue)
            if keys.count == JSONObject.linearMax + 1 {
                reindex()
            } else if keys.count > JSONObject.linearMax {
                places[key] = keys.count - 1
            }
        }
    }

    private func place(of key: String) -> Int? {
        keys.count <= JSONObject.linearMax ? keys.firstIndex(of: key) : places[key]
    }

    private mutating func remove(_ key: String) {
        guard let place = place(of: key) else { return }
        keys.remove(at: place)
        values.remove(at: place)
        reindex()
    }

    private mutating func reindex() {
        places.removeAll(keepingCapacity: true)
        guard keys.count > JSONObject.linearMax else { return }
        for (index, key) in keys.enumerated() { places[key] = index }
    }
}

extension JSONObject: Sequence {
    public func makeIterator() -> AnyIterator<(key: String, value: JSONValue)> {
        var index = 0
        return AnyIterator {
            guard index < keys.count else { return nil }
            defer { index += 1 }
            return (key: keys[index], value: values[index])
        }
    }
}

extension JSONObject: Hashable {
    /// Equal members, whatever their order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count
            && left.keys.indices.allSatisfy { right[left.keys[$0]] == left.values[$0] }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(Set(keys))
    }
}

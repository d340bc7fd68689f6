// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// Writes the numbers and texts of a stored plan.
struct StoredBytes {
    var bytes: [UInt8] = []

    mutating func raw(_ other: [UInt8]) { bytes += other }

    mutating func fixed<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    mutating func count(_ value: Int) { fixed(UInt32(clamping: value)) }
    mutating func int(_ value: Int) { fixed(Int64(value)) }
    mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }

    mutating func text(_ text: String) {
        count(text.utf8.count)
        bytes.append(contentsOf: text.utf8)
    }

    mutating func list<Items: Collection>(
        _ items: Items, _ write: (inout StoredBytes, Items.Element) throws -> Void
    ) rethrows {
        count(items.count)
        for item in items { try write(&self, item) }
    }

    mutating func optional<Value>(
        _ value: Value?, _ write: (inout StoredBytes, Value) -> Void
    ) {
        flag(value != nil)
        if let value { write(&self, value) }
    }
}

/// Reads what `StoredBytes` wrote, or anything else without harm.
struct StoredReader {
    private var reader: ByteReader
    private let owner: AnyObject

    init(_ region: ByteRegion) {
        reader = unsafe ByteReader(region.bytes)
        owner = region.owner
    }

    var isAtEnd: Bool { reader.isAtEnd }

    private static var cut: StoredPlanError { StoredPlanError("it ends too early") }

    mutating func fixed<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self
    ) throws(StoredPlanError) -> Value {
        guard let value = reader.read(Value.self) else { throw StoredReader.cut }
        return value
    }

    /// A number of things of which each takes at least a byte.
    mutating func count() throws(StoredPlanError) -> Int {
        let count = Int(try fixed(UInt32.self))
        guard count <= reader.remaining else {
            throw StoredPlanError("\(count) items in \(reader.remaining) bytes")
        }
        return count
    }

    mutating func int() throws(StoredPlanError) -> Int { Int(try fixed(Int64.self)) }

    mutating func flag() throws(StoredPlanError) -> Bool {
        switch try fixed(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw StoredPlanError("a flag is neither 0 nor 1")
        }
    }

    mutating func text() throws(StoredPlanError) -> String {
        let count = try count()
        guard let bytes = unsafe reader.readBytes(count) else { throw StoredReader.cut }
        guard let text = unsafe String(validating: bytes, as: UTF8.self) else {
            throw StoredPlanError("a text is not UTF-8")
        }
        return text
    }

    mutating func list<Item>(
        _ read: (inout StoredReader) throws(StoredPlanError) -> Item
    ) throws(StoredPlanError) -> [Item] {
        let count = try count()
        var items: [Item] = []
        for _ in 0..<count { items.append(try read(&self)) }
        return items
    }

    mutating func optional<Value>(
        _ read: (inout StoredReader) throws(StoredPlanError) -> Value
    ) throws(StoredPlanError) -> Value? {
        try flag() ? try read(&self) : nil
    }
}

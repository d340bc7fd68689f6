// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Repeated scalars: each read takes one occurrence of the field, packed or single, and appends.
extension ProtobufReader {
    @inlinable
    public mutating func append(to values: inout [Int64]) throws(FormatError) {
        try appendVarints(to: &values)
    }

    @inlinable
    public mutating func append(to values: inout [Int32]) throws(FormatError) {
        try appendVarints(to: &values)
    }

    @inlinable
    public mutating func append(to values: inout [UInt64]) throws(FormatError) {
        try appendVarints(to: &values)
    }

    @inlinable
    public mutating func append(to values: inout [UInt32]) throws(FormatError) {
        try appendVarints(to: &values)
    }

    @inlinable
    public mutating func append(to values: inout [Bool]) throws(FormatError) {
        guard wireType == .lengthDelimited else { return values.append(try bool()) }
        var inner = try packed()
        values.reserveCapacity(values.count + inner.remaining)
        while !inner.isAtEnd { values.append(try inner.rawVarint() != 0) }
    }

    @inlinable
    public mutating func append(to values: inout [Float]) throws(FormatError) {
        guard wireType == .lengthDelimited else { return values.append(try float()) }
        var inner = try packed()
        values.reserveCapacity(values.count + inner.remaining / 4)
        while !inner.isAtEnd { values.append(Float(bitPattern: try inner.rawFixed32())) }
    }

    @inlinable
    public mutating func append(to values: inout [Double]) throws(FormatError) {
        guard wireType == .lengthDelimited else { return values.append(try double()) }
        var inner = try packed()
        values.reserveCapacity(values.count + inner.remaining / 8)
        while !inner.isAtEnd { values.append(Double(bitPattern: try inner.rawFixed64())) }
    }

    @inlinable
    mutating func appendVarints<Value: FixedWidthInteger>(
        to values: inout [Value]
    ) throws(FormatError) {
        guard wireType == .lengthDelimited else {
            return values.append(Value(truncatingIfNeeded: try uint64()))
        }
        var inner = try packed()
        while !inner.isAtEnd {
            values.append(Value(truncatingIfNeeded: try inner.rawVarint()))
        }
    }
}

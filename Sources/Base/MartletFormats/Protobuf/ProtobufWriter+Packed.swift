// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Repeated scalars in packed form. Empty lists write nothing.
extension ProtobufWriter {
    @inlinable
    public mutating func packed(_ field: Int, _ values: some Collection<Int64>) {
        packedVarints(field, values)
    }

    @inlinable
    public mutating func packed(_ field: Int, _ values: some Collection<Int32>) {
        packedVarints(field, values)
    }

    @inlinable
    public mutating func packed(_ field: Int, _ values: some Collection<UInt64>) {
        packedVarints(field, values)
    }

    @inlinable
    public mutating func packed(_ field: Int, _ values: some Collection<UInt32>) {
        packedVarints(field, values)
    }

    @inlinable
    public mutating func packed(_ field: Int, _ values: some Collection<Bool>) {
        guard !values.isEmpty else { return }
        let mark = beginMessage(field)
        for value in values { bytes.append(value ? 1 : 0) }
        endMessage(mark)
    }

    @inlinable
    public mutating func packed(_ field: Int, _ values: some Collection<Float>) {
        guard !values.isEmpty else { return }
        tag(field, .lengthDelimited)
        rawVarint(UInt64(truncatingIfNeeded: values.count) &* 4)
        for value in values { rawFixed(value.bitPattern) }
    }

    @inlinable
    public mutating func packed(_ field: Int, _ values: some Collection<Double>) {
        guard !values.isEmpty else { return }
        tag(field, .lengthDelimited)
        rawVarint(UInt64(truncatingIfNeeded: values.count) &* 8)
        for value in values { rawFixed(value.bitPattern) }
    }

    @inlinable
    mutating func packedVarints(_ field: Int, _ values: some Collection<some FixedWidthInteger>) {
        guard !values.isEmpty else { return }
        let mark = beginMessage(field)
        for value in values { rawVarint(UInt64(truncatingIfNeeded: value)) }
        endMessage(mark)
    }
}

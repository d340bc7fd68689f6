// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletNumbers

extension JSONWriter {
    /// Appends an array of numbers read from memory of any alignment, flat.
    /// Whole elements only: left-over bytes are ignored. Floats take about 0.6 ns per byte written
    /// on machines with AVX-512, elsewhere about as long as doubles: 2.5 ns.
    public mutating func numbers(_ memory: UnsafeRawBufferPointer, as kind: JSONNumberKind) {
        switch kind {
        case .bool:
            unsafe elements(memory, UInt8.self, bytesMax: 5) { sink, value in
                sink.append(value != 0)
            }
        case .int8: unsafe integers(memory, Int8.self)
        case .int16: unsafe integers(memory, Int16.self)
        case .int32: unsafe integers(memory, Int32.self)
        case .int64: unsafe integers(memory, Int64.self)
        case .uint8: unsafe integers(memory, UInt8.self)
        case .uint16: unsafe integers(memory, UInt16.self)
        case .uint32: unsafe integers(memory, UInt32.self)
        case .uint64: unsafe integers(memory, UInt64.self)
        case .float32:
            let count = memory.count / MemoryLayout<Float>.stride
            beginArray()
            bytes.reserveCapacity(bytes.count + count * 12 + 2)
            var index = 0
            while index < count {
                let group = min(count - index, 128)
                let place = index * MemoryLayout<Float>.stride
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                unsafe appendFloats(
                    UnsafeRawBufferPointer(rebasing: memory[place...]), count: group)
                index += group
            }
            endArray()
        case .float64:
            let nonFinite = nonFinite
            let powers = PowersOfTen.shared
            unsafe elements(memory, Double.self, bytesMax: ByteSink.numberBytesMax) {
                $0.append($1, nonFinite, powers)
            }
        }
    }

    /// The first floats of some memory with commas between them.
    mutating func appendFloats(_ memory: UnsafeRawBufferPointer, count: Int) {
        guard count > 0, let base = memory.baseAddress else { return }
        let room = count * Int(MARTLET_FLOAT_TEXT_MAX)
        let literals: Int32 = nonFinite == .literal ? 1 : 0
        unsafe withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { text in
            guard let start = text.baseAddress else { return }
            let written = unsafe martlet_text_f32(
                base, count, literals, martlet_text_best(),
                start.assumingMemoryBound(to: CChar.self))
            // Without the comma behind the last.
            unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(text)[..<(written - 1)])
        }
    }

    private mutating func integers<Value: FixedWidthInteger & BitwiseCopyable>(
        _ memory: UnsafeRawBufferPointer, _ type: Value.Type
    ) {
        unsafe elements(memory, type, bytesMax: 21) { sink, value in
            if value < 0 { sink.append(UInt8(ascii: "-")) }
            sink.append(digits: UInt64(truncatingIfNeeded: value.magnitude))
        }
    }

    /// Writes in groups, each into memory reserved for the longest that it can become.
    @inline(__always)
    private mutating func elements<Value: BitwiseCopyable>(
        _ memory: UnsafeRawBufferPointer, _ type: Value.Type, bytesMax: Int,
        _ append: (inout ByteSink, Value) -> Void
    ) {
        let count = memory.count / MemoryLayout<Value>.stride
        beginArray()
        // About what the numbers will take; growing step by step would copy them several times.
        bytes.reserveCapacity(bytes.count + count * (bytesMax / 2) + 2)
        var index = 0
        while index < count {
            let group = min(count - index, 128)
            let first = index
            appendUninitialized(group * (bytesMax + 1)) { sink in
                for place in first..<first + group {
                    if place > 0 { sink.append(UInt8(ascii: ",")) }
                    append(
                        &sink,
                        unsafe memory.loadUnaligned(
                            fromByteOffset: place &* MemoryLayout<Value>.stride, as: Value.self))
                }
            }
            index += group
        }
        endArray()
    }
}

extension ByteSink {
    mutating func append(_ flag: Bool) {
        let text: StaticString = flag ? "true" : "false"
        for index in 0..<text.utf8CodeUnitCount { unsafe append(text.utf8Start[index]) }
    }
}

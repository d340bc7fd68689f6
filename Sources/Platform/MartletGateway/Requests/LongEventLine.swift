// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// One line of an event stream as it comes in. Of a line that is long, long texts in quotes are
/// left out but for a letter, so that what they stand in can still be read.
struct LongEventLine: Sendable {
    private static let wholeBytesMax = 16 << 10
    private static let textBytesMax = 128

    private(set) var bytes: [UInt8] = []
    /// Even so.
    private(set) var isTooLong = false
    private var isLong = false
    private var isInText = false
    private var isEscaped = false
    private var isLeftOut = false
    private var textStart = 0

    init() {}

    /// Nothing has come of it.
    var isEmpty: Bool { bytes.isEmpty && !isLong }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        guard isLong else { return }
        isLong = false
        isTooLong = false
        isInText = false
        isEscaped = false
        isLeftOut = false
    }

    @inline(__always)
    mutating func append(_ piece: UnsafeRawBufferPointer, _ range: Range<Int>) {
        if !isLong, bytes.count + range.count <= LongEventLine.wholeBytesMax {
            unsafe bytes.append(contentsOf: piece[range])
        } else {
            unsafe appendShortened(piece, range)
        }
    }

    private mutating func appendShortened(_ piece: UnsafeRawBufferPointer, _ range: Range<Int>) {
        if !isLong {
            isLong = true
            let whole = bytes
            bytes.removeAll(keepingCapacity: true)
            for byte in whole { add(byte) }
        }
        for place in range { unsafe add(piece[place]) }
    }

    private mutating func add(_ byte: UInt8) {
        guard isInText else {
            keep(byte)
            if byte == UInt8(ascii: "\"") {
                isInText = true
                textStart = bytes.count
            }
            return
        }
        let isEnd = byte == UInt8(ascii: "\"") && !isEscaped
        isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
        if isEnd {
            keep(byte)
            isInText = false
            isLeftOut = false
        } else if !isLeftOut {
            keep(byte)
            guard !isTooLong, bytes.count - textStart > LongEventLine.textBytesMax else { return }
            bytes.removeSubrange(textStart...)
            bytes.append(UInt8(ascii: "x"))
            isLeftOut = true
        }
    }

    private mutating func keep(_ byte: UInt8) {
        guard bytes.count < EventStreamReader.eventBytesMax else {
            isTooLong = true
            return
        }
        bytes.append(byte)
    }
}

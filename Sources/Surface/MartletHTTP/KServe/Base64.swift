// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Base64 (RFC 4648 §4) with padding.
enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (value, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(value) }
        return table
    }()

    static func encode(_ bytes: UnsafeRawBufferPointer) -> String {
        let count = (bytes.count + 2) / 3 * 4
        return unsafe String(unsafeUninitializedCapacity: count) { output in
            var place = 0
            var index = 0
            while index < bytes.count {
                let rest = bytes.count - index
                let second = rest > 1 ? unsafe bytes[index + 1] : 0
                let third = rest > 2 ? unsafe bytes[index + 2] : 0
                let first = unsafe bytes[index]
                let group = UInt32(first) << 16 | UInt32(second) << 8 | UInt32(third)
                unsafe output[place] = alphabet[Int(group >> 18)]
                unsafe output[place + 1] = alphabet[Int(group >> 12 & 63)]
                unsafe output[place + 2] =
                    rest > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "=")
                unsafe output[place + 3] =
                    rest > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "=")
                place += 4
                index += 3
            }
            return place
        }
    }

    /// nil for text that is no base64.
    static func decode(_ text: String) -> [UInt8]? {
        var input = Array(text.utf8)
        guard input.count % 4 == 0 else { return nil }
        var padding = 0
        while padding < 2, input.last == UInt8(ascii: "=") {
            input.removeLast()
            padding += 1
        }
        var output: [UInt8] = []
        output.reserveCapacity(input.count / 4 * 3 + 3)
        var group: UInt32 = 0
        var bits = 0
        for byte in input {
            let value = values[Int(byte)]
            guard value < 64 else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        // Left-over bits must be zero, or two texts would mean the same bytes.
        guard group & ((1 << UInt32(bits)) - 1) == 0 else { return nil }
        return output
    }
}

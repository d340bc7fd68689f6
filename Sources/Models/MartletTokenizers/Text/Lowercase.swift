// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Lower case by scalar, as Unicode's full mapping without context.
enum Lowercase {
    /// The basic plane's simple mappings; 0 marks what lowercases to itself.
    private static let basicPlane: [UInt16] = {
        var table = [UInt16](repeating: 0, count: 0x10000)
        for value in UInt32(0x80)..<0x10000 {
            guard let scalar = Unicode.Scalar(value), scalar.properties.changesWhenLowercased,
                let lower = scalar.properties.lowercaseMapping.unicodeScalars.first
            else { continue }
            table[Int(value)] = UInt16(truncatingIfNeeded: lower.value)
        }
        return table
    }()

    @inline(__always)
    static func append(_ scalar: UInt32, to result: inout [UInt32]) {
        if scalar < 0x80 {
            result.append(scalar >= 0x41 && scalar <= 0x5A ? scalar | 0x20 : scalar)
        } else if scalar == 0x130 {
            // The one scalar whose lower case is two.
            result.append(0x69)
            result.append(0x307)
        } else if scalar < 0x10000 {
            let lower = basicPlane[Int(scalar)]
            result.append(lower == 0 ? scalar : UInt32(lower))
        } else if let full = Unicode.Scalar(scalar)?.properties.lowercaseMapping {
            for lower in full.unicodeScalars { result.append(lower.value) }
        } else {
            result.append(scalar)
        }
    }
}

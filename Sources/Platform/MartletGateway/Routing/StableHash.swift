// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The same number for the same key in every process and every version: what users are split by.
///
/// FNV-1a over the bytes (Fowler, Noll, Vo), then MurmurHash3's finaliser (Appleby) so that all
/// bits are even. Not for hostile keys that want to collide: a user who picks their own key picks
/// their own variant.
package enum StableHash {
    /// Parts of a whole: shares are counted in millionths.
    package static let parts: UInt64 = 1_000_000

    private static let prime: UInt64 = 0x0000_0100_0000_01B3

    /// A start value for one experiment, so that experiments are independent of one another.
    package static func salt(_ name: String) -> UInt64 {
        continued(name, from: 0xCBF2_9CE4_8422_2325)
    }

    package static func hash(_ key: String, salt: UInt64) -> UInt64 {
        mixed(continued(key, from: (salt ^ 0xFF) &* prime))
    }

    package static func hash(_ bytes: Span<UInt8>, salt: UInt64) -> UInt64 {
        var state = (salt ^ 0xFF) &* prime
        for index in bytes.indices { state = (state ^ UInt64(bytes[index])) &* prime }
        return mixed(state)
    }

    /// The key's place in `0..<parts`.
    package static func place(_ key: String, salt: UInt64) -> Int {
        place(hash(key, salt: salt))
    }

    /// Scales 64 even bits to `0..<parts`.
    package static func place(_ bits: UInt64) -> Int {
        Int(truncatingIfNeeded: bits.multipliedFullWidth(by: parts).high)
    }

    package static func mixed(_ state: UInt64) -> UInt64 {
        var state = state
        state ^= state >> 33
        state = state &* 0xFF51_AFD7_ED55_8CCD
        state ^= state >> 33
        state = state &* 0xC4CE_B9FE_1A85_EC53
        return state ^ (state >> 33)
    }

    private static func continued(_ text: String, from start: UInt64) -> UInt64 {
        var text = text
        return text.withUTF8 { bytes in
            var state = start
            for index in 0..<bytes.count {
                state = unsafe (state ^ UInt64(bytes[index])) &* prime
            }
            return state
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Writes a time as `strftime` does, in the machine's time zone.
struct TemplateClock {
    let secondsSinceEpoch: Int64

    private static let formatBytesMax = 256

    /// Nil for a format that is too long or not of ASCII.
    func format(_ format: String) -> String? {
        guard format.utf8.count <= TemplateClock.formatBytesMax else { return nil }
        var seconds = time_t(secondsSinceEpoch)
        var parts = unsafe tm()
        guard unsafe localtime_r(&seconds, &parts) != nil else { return nil }
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = unsafe strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

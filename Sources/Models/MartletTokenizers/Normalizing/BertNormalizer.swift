// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// BERT's text cleaning: control characters out, ideographs apart, accents off, lower case.
struct BertNormalizer: Sendable {
    let cleansText: Bool
    let separatesIdeographs: Bool
    let stripsAccents: Bool
    let lowercases: Bool
    /// What an ASCII byte becomes; 0xFF is dropped.
    private let ascii: [UInt8]

    init(cleansText: Bool, separatesIdeographs: Bool, stripsAccents: Bool, lowercases: Bool) {
        self.cleansText = cleansText
        self.separatesIdeographs = separatesIdeographs
        self.stripsAccents = stripsAccents
        self.lowercases = lowercases
        ascii = (0..<UInt8(0x80)).map { byte in
            if cleansText, byte == 9 || byte == 10 || byte == 13 { return 0x20 }
            if cleansText, byte < 0x20 || byte == 0x7F { return 0xFF }
            if lowercases, byte >= 0x41, byte <= 0x5A { return byte | 0x20 }
            return byte
        }
    }

    /// Normalises `text` in place: ASCII through one table, the rest in runs of scalars.
    func apply(to text: inout [UInt8], scratch: inout Normalizer.Scratch) {
        scratch.bytes.removeAll(keepingCapacity: true)
        scratch.bytes.reserveCapacity(text.count)
        scratch.scalars.removeAll(keepingCapacity: true)
        read(text.span, &scratch)
        if !scratch.scalars.isEmpty { flush(&scratch) }
        swap(&text, &scratch.bytes)
    }

    private func read(_ span: Span<UInt8>, _ scratch: inout Normalizer.Scratch) {
        let table = ascii.span
        var index = 0
        while index < span.count {
            let byte = span[index]
            if byte < 0x80 {
                if !scratch.scalars.isEmpty { flush(&scratch) }
                let mapped = table[Int(byte)]
                if mapped != 0xFF { scratch.bytes.append(mapped) }
                index += 1
                continue
            }
            let (scalar, next) = UTF8Text.scalar(span, at: index)
            index = next
            let kind = ScalarClass.of(scalar)
            if cleansText {
                if kind.contains(.control) { continue }
                if kind.contains(.whitespace) {
                    scratch.scalars.append(0x20)
                    continue
                }
            }
            if separatesIdeographs, kind.contains(.ideograph) {
                scratch.scalars.append(0x20)
                scratch.scalars.append(scalar)
                scratch.scalars.append(0x20)
            } else {
                scratch.scalars.append(scalar)
            }
        }
    }

    private func flush(_ scratch: inout Normalizer.Scratch) {
        if stripsAccents {
            UnicodeNormalizer.normalize(
                &scratch.scalars, form: .nfd, scratch: &scratch.moreScalars)
            scratch.scalars.removeAll { ScalarClass.of($0).contains(.nonspacingMark) }
        }
        if lowercases {
            scratch.moreScalars.removeAll(keepingCapacity: true)
            for scalar in scratch.scalars { Lowercase.append(scalar, to: &scratch.moreScalars) }
            swap(&scratch.scalars, &scratch.moreScalars)
        }
        for scalar in scratch.scalars { UTF8Text.append(scalar, to: &scratch.bytes) }
        scratch.scalars.removeAll(keepingCapacity: true)
    }
}

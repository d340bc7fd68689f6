// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension Decoder {
    /// The bytes that one token adds to a text, given only whether anything stands before it.
    func bytes(of token: [UInt8], isFirst: Bool) -> [UInt8] {
        switch self {
        case .byteLevel, .fuse: return token
        case .wordPiece(let prefix, _):
            if isFirst { return token }
            return token.starts(with: prefix)
                ? Array(token.dropFirst(prefix.count)) : [0x20] + token
        case .metaspace(_, let dropsFirst):
            let spaced = apply([[], token])[1]
            return isFirst && dropsFirst && spaced.first == 0x20
                ? Array(spaced.dropFirst()) : spaced
        case .suffix: return apply([token, []])[0]
        case .byteFallback: return Decoder.byte(token).map { [$0] } ?? token
        case .strip, .replace: return apply([token]).first ?? token
        case .sequence(let parts):
            var bytes = token
            var isJoined = false
            for part in parts {
                switch part {
                case .fuse: isJoined = true
                case .strip(let content, let start, _) where isJoined:
                    // Of the whole text: only its beginning is known here.
                    guard isFirst, !content.isEmpty else { continue }
                    for _ in 0..<start where bytes.starts(with: content) {
                        bytes.removeFirst(content.count)
                    }
                default: bytes = part.bytes(of: bytes, isFirst: isFirst)
                }
            }
            return bytes
        }
    }
}

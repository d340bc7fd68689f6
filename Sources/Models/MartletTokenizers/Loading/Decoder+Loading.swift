// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension Decoder {
    init(_ field: Field) throws(TokenizerError) {
        switch try field.type() {
        case "WordPiece":
            self = .wordPiece(
                prefix: try field.member("prefix")?.bytes() ?? Array("##".utf8),
                cleansUp: try field.bool("cleanup", default: true))
        case "ByteLevel": self = .byteLevel
        case "Metaspace":
            let metaspace = try Metaspace(field)
            self = .metaspace(
                replacement: metaspace.replacement, dropsFirst: metaspace.scheme != .never)
        case "BPEDecoder":
            let suffix = try field.member("suffix")?.bytes() ?? Array("</w>".utf8)
            self = suffix.isEmpty ? .fuse : .suffix(suffix)
        case "ByteFallback": self = .byteFallback
        case "Fuse": self = .fuse
        case "Strip":
            self = .strip(
                content: try field.required("content").bytes(),
                start: try field.required("start").integer(in: 0...1_000_000),
                stop: try field.required("stop").integer(in: 0...1_000_000))
        case "Replace":
            self = .replace(
                try field.required("pattern").pattern(),
                with: try field.required("content").insertedBytes())
        case "Sequence":
            var parts: [Decoder] = []
            for part in try field.required("decoders").elements() {
                parts.append(try Decoder(part))
            }
            self = .sequence(parts)
        case let other: throw field.unsupported("the decoder \(other)")
        }
    }
}

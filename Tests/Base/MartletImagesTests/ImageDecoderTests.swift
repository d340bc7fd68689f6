// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletImages
internal import Testing

@Suite("Image decoding")
struct ImageDecoderTests {
    func decode(_ bytes: [UInt8], _ limits: ImageLimits = ImageLimits()) throws -> Image {
        try ImageDecoder.decode(ByteRegion(copying: bytes), limits: limits)
    }

    func code(_ bytes: [UInt8], _ limits: ImageLimits = ImageLimits()) -> ImageError.Code? {
        let error = #expect(throws: ImageError.self) { try decode(bytes, limits) }
        return error?.code
    }

    /// The largest difference between two images' bytes.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        guard left.count == right.count else { return .max }
        return zip(left, right).map { abs(Int($0) - Int($1)) }.max() ?? 0
    }

    @Test(
        "every kind of file decodes to what Pillow makes of it", arguments: EncodedImage.all.indices
    )
    func kinds(index: Int) throws {
        let (name, expected) = EncodedImage.all[index]
        let image = try decode(expected.file)
        #expect(image.width == expected.width && image.height == expected.height)
        // Decoders of the same JPEG may differ by rounding.
        let tolerance = name.hasPrefix("jpeg") ? 2 : name == "pngGrey16" ? 1 : 0
        let distance = Self.distance(image.pixels.copied(), expected.pixels)
        #expect(distance <= tolerance, "\(name)")
    }

    @Test("every file cut short is an error, at every length", arguments: EncodedImage.all.indices)
    func truncated(index: Int) {
        let (name, whole) = EncodedImage.all[index]
        // What follows the pixels (a JPEG's end marker, a PNG's checksum and end) is not needed.
        let needed = name.hasPrefix("jpeg") ? whole.file.count - 4 : whole.file.count - 20
        for count in 0..<needed {
            #expect(throws: ImageError.self, "\(name), \(count) bytes") {
                try decode(Array(whole.file[0..<count]))
            }
        }
    }

    @Test("other formats are named as unknown")
    func unknown() {
        #expect(code([]) == .unknownFormat)
        #expect(code(Array("GIF89a".utf8)) == .unknownFormat)
        #expect(code([0xFF, 0xD8, 0xFF]) == .corrupt)
    }

    @Test("sizes beyond the limits are refused before anything is decoded")
    func limits() {
        var limits = ImageLimits()
        limits.pixelsMax = 69
        #expect(code(EncodedImage.jpegColour.file, limits) == .tooLarge)
        limits.pixelsMax = 70
        #expect(throws: Never.self) { try decode(EncodedImage.jpegColour.file, limits) }
        limits.sideMax = 9
        #expect(code(EncodedImage.jpegColour.file, limits) == .tooLarge)
        // 65 280 x 65 280 announced by a file of a few hundred bytes.
        var bomb = EncodedImage.jpegGrey.file
        if let frame = (0..<bomb.count - 1).first(where: {
            bomb[$0] == 0xFF && bomb[$0 + 1] == 0xC0
        }) {
            bomb.replaceSubrange(frame + 5..<frame + 9, with: [0xFF, 0, 0xFF, 0])
        }
        #expect(code(bomb) == .tooLarge)
    }
}

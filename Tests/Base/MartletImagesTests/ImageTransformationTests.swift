// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletImages
internal import Testing

/// An image whose pixels follow from a formula.
enum Pattern {
    static func image(_ width: Int, _ height: Int) throws -> Image {
        var bytes: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                for channel in 0..<3 {
                    bytes.append(UInt8((x * 37 + y * 59 + channel * 83 + x * y * 7) % 256))
                }
            }
        }
        return try #require(
            Image(width: width, height: height, pixels: ByteRegion(copying: bytes)))
    }
}

@Suite("Image transformations")
struct ImageTransformationTests {
    @Test("resizing agrees with Pillow within a level", arguments: ResizedPatterns.cases.indices)
    func resize(index: Int) throws {
        let expected = ResizedPatterns.cases[index]
        let image = try Pattern.image(13, 9).resized(
            width: expected.width, height: expected.height,
            filter: expected.isCubic ? .bicubic : .bilinear)
        let distance = ImageDecoderTests.distance(
            image.pixels.copied(), EncodedImage.bytes(expected.pixels))
        #expect(distance <= 1)
    }

    @Test("the shorter side is met and the other keeps the proportion")
    func shorterSide() throws {
        let wide = try Pattern.image(13, 9).resized(shorterSide: 6)
        #expect(wide.width == 8 && wide.height == 6)
        let tall = try Pattern.image(9, 13).resized(shorterSide: 6)
        #expect(tall.width == 6 && tall.height == 8)
    }

    @Test("cropping takes the middle, odd margins rounded as torchvision rounds them")
    func crop() throws {
        let image = try Pattern.image(13, 9)
        let cropped = try image.centreCropped(width: 4, height: 4)
        // Margins of 9 and 5 pixels leave 4.5 and 2.5: 4 and 2.
        #expect(cropped.pixels[0] == image.pixels[(2 * 13 + 4) * 3])
        #expect(cropped.pixels.count == 4 * 4 * 3)
        #expect(
            try image.centreCropped(width: 13, height: 9).pixels.copied() == image.pixels.copied())
        #expect(throws: ImageError.self) { try image.centreCropped(width: 14, height: 9) }
        #expect(throws: ImageError.self) { try image.centreCropped(width: 0, height: 9) }
    }

    @Test("sizes that no image can have are refused")
    func invalid() throws {
        let image = try Pattern.image(3, 3)
        #expect(throws: ImageError.self) { try image.resized(width: 0, height: 3) }
        #expect(throws: ImageError.self) { try image.resized(width: .max, height: .max) }
        #expect(throws: ImageError.self) { try image.resized(shorterSide: .max) }
        #expect(throws: ImageError.self) { try image.resized(shorterSide: -1) }
        #expect(Image(width: .max, height: .max, pixels: ByteRegion(copying: [])) == nil)
        #expect(Image(width: 1, height: 1, pixels: ByteRegion(copying: [1, 2])) == nil)
    }

    @Test("normalising scales each channel, in planes or pixel by pixel")
    func normalize() throws {
        let pixels = ByteRegion(copying: [0, 51, 255, 255, 102, 0])
        let image = try #require(Image(width: 2, height: 1, pixels: pixels))
        var planes = [Float](repeating: 0, count: 6)
        try unsafe planes.withUnsafeMutableBufferPointer { buffer in
            try unsafe image.normalize(
                mean: (0.5, 0, 0), deviation: (0.5, 1, 2), into: buffer)
        }
        let expected: [Float] = [-1, 1, 0.2, 0.4, 0.5, 0]
        for (value, wanted) in zip(planes, expected) { #expect(abs(value - wanted) < 1e-6) }
        var interleaved = [Float](repeating: 0, count: 6)
        try unsafe interleaved.withUnsafeMutableBufferPointer { buffer in
            try unsafe image.normalize(
                deviation: (1.0 / 255, 1.0 / 255, 1.0 / 255), layout: .pixels, into: buffer)
        }
        let same: [Float] = [0, 51, 255, 255, 102, 0]
        for (value, wanted) in zip(interleaved, same) { #expect(abs(value - wanted) < 1e-3) }
        #expect(throws: ImageError.self) {
            var short = [Float](repeating: 0, count: 5)
            try unsafe short.withUnsafeMutableBufferPointer { buffer in
                try unsafe image.normalize(into: buffer)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletImages
internal import MartletTesting
internal import Testing

@Suite("Image fuzzing")
struct ImageFuzzTests {
    @Test("damaged images are errors, or images of the size they say")
    func decoder() {
        var limits = ImageLimits()
        limits.pixelsMax = 1 << 16
        limits.sideMax = 4096
        fuzz("images", seeds: EncodedImage.all.map(\.image.file)) { bytes in
            let image = try ImageDecoder.decode(ByteRegion(copying: bytes), limits: limits)
            #expect(image.pixels.count == image.width * image.height * 3)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// An 8-bit RGB image: rows from the top, three bytes a pixel (HWC), without padding.
public struct Image: Sendable {
    public let width: Int
    public let height: Int
    /// `height * width * 3` bytes.
    public let pixels: ByteRegion

    /// An image over these bytes; nil when their number does not fit the size.
    public init?(width: Int, height: Int, pixels: ByteRegion) {
        guard let size = Image.byteCount(width: width, height: height), size == pixels.count else {
            return nil
        }
        self.init(uncheckedWidth: width, height: height, pixels: pixels)
    }

    init(uncheckedWidth width: Int, height: Int, pixels: ByteRegion) {
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// The bytes of an image of this size; nil when there is no such image.
    private static func byteCount(width: Int, height: Int) -> Int? {
        guard width > 0, height > 0 else { return nil }
        let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
        let (bytes, tooMany) = pixels.multipliedReportingOverflow(by: 3)
        return overflow || tooMany ? nil : bytes
    }
}

/// How large an image may be, before and after a transformation.
public struct ImageLimits: Sendable {
    public var pixelsMax = 64 << 20
    public var sideMax = 32_768

    public init() {}

    func check(_ what: String, width: Int, height: Int) throws(ImageError) {
        guard width > 0, height > 0 else {
            throw ImageError(
                code: .invalidArgument, message: "\(what): \(width)x\(height) is no image's size")
        }
        guard width <= sideMax, height <= sideMax, width <= pixelsMax / height else {
            throw ImageError(
                code: .tooLarge,
                message: "\(what): \(width)x\(height) pixels, allowed are \(pixelsMax) pixels and "
                    + "sides of \(sideMax)")
        }
    }
}

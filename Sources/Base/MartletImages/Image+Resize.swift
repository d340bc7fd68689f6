// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletImages
internal import MartletBase

/// How samples are weighed when an image's size changes.
public enum ImageFilter: Sendable, Hashable {
    case bilinear, bicubic
}

extension Image {
    /// The image at another size, antialiased when it shrinks: within one level of Pillow's
    /// `resize` with the same filter.
    ///
    /// Source: separable convolution with a stretched filter, rows first, rounded between the
    /// passes, as Pillow documents under "Filters". Cost: proportional to both sizes.
    public func resized(
        width target: Int, height targetHeight: Int, filter: ImageFilter = .bilinear,
        limits: ImageLimits = ImageLimits()
    ) throws(ImageError) -> Image {
        try limits.check("resize image", width: target, height: targetHeight)
        try limits.check("resize image", width: target, height: height)
        if target == width && targetHeight == height { return self }
        let pixels = unsafe try ByteRegion(byteCount: target * targetHeight * 3) {
            (buffer) throws(ImageError) in
            let status = unsafe martlet_resize_rgb8(
                self.pixels.bytes.assumingMemoryBound(to: UInt8.self).baseAddress, UInt32(width),
                UInt32(height), buffer.assumingMemoryBound(to: UInt8.self).baseAddress,
                UInt32(target), UInt32(targetHeight),
                filter == .bicubic ? MARTLET_FILTER_BICUBIC : MARTLET_FILTER_BILINEAR)
            guard status == MARTLET_IMAGE_OK else {
                throw ImageError(
                    code: .outOfMemory,
                    message: "resize image to \(target)x\(targetHeight): out of memory")
            }
        }
        return Image(uncheckedWidth: target, height: targetHeight, pixels: pixels)
    }

    /// The image with its shorter side at `side`, the other in proportion (rounded down, as
    /// torchvision's `Resize` does).
    public func resized(
        shorterSide side: Int, filter: ImageFilter = .bilinear,
        limits: ImageLimits = ImageLimits()
    ) throws(ImageError) -> Image {
        let (long, overflow) = side.multipliedReportingOverflow(by: max(width, height))
        guard side > 0, !overflow else {
            throw ImageError(
                code: .invalidArgument, message: "resize image: \(side) is no image's side")
        }
        let other = long / min(width, height)
        return width <= height
            ? try resized(width: side, height: other, filter: filter, limits: limits)
            : try resized(width: other, height: side, filter: filter, limits: limits)
    }

    /// The middle of the image. Throws when it is smaller than what is asked for.
    public func centreCropped(width: Int, height: Int) throws(ImageError) -> Image {
        guard width > 0, height > 0, width <= self.width, height <= self.height else {
            throw ImageError(
                code: .invalidArgument,
                message: "crop image: \(width)x\(height) out of \(self.width)x\(self.height)")
        }
        // torchvision rounds half to even; so does the default rule of Python that it uses.
        let left = Image.half(self.width - width)
        let top = Image.half(self.height - height)
        let pixels = unsafe ByteRegion(byteCount: width * height * 3) { buffer in
            for row in 0..<height {
                let start = ((top + row) * self.width + left) * 3
                unsafe UnsafeMutableRawBufferPointer(
                    rebasing: buffer[row * width * 3..<(row + 1) * width * 3]
                ).copyMemory(
                    from: UnsafeRawBufferPointer(
                        rebasing: self.pixels.bytes[start..<start + width * 3]))
            }
        }
        return Image(uncheckedWidth: width, height: height, pixels: pixels)
    }

    /// Half of a number, halves rounded to the even neighbour.
    private static func half(_ number: Int) -> Int {
        let floor = number / 2
        return number % 2 == 0 ? floor : floor + floor % 2
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletImages
public import MartletBase

/// Decodes JPEG (libjpeg-turbo) and PNG (libpng) to 8-bit RGB.
///
/// Grey, palette, 16-bit and CMYK images are converted; an alpha channel is dropped, colours as
/// they are; EXIF orientation and colour profiles are ignored, as Pillow's `convert("RGB")` does.
/// The size is checked before anything is allocated for pixels.
public enum ImageDecoder {
    /// An image's size in pixels, from its header alone; not checked against any limit.
    public static func size(
        of bytes: UnsafeRawBufferPointer
    ) throws(ImageError) -> (width: Int, height: Int) {
        let codec = try unsafe Codec(bytes)
        return try unsafe codec.size(of: bytes)
    }

    /// Decodes one image. Runs on the caller's thread: 10 to 30 ms a megapixel.
    public static func decode(
        _ bytes: UnsafeRawBufferPointer, limits: ImageLimits = ImageLimits()
    ) throws(ImageError) -> Image {
        let codec = try unsafe Codec(bytes)
        let (width, height) = try unsafe codec.size(of: bytes)
        try limits.check("decode \(codec.name)", width: width, height: height)
        let pixels = unsafe try ByteRegion(byteCount: width * height * 3) {
            (buffer) throws(ImageError) in
            try unsafe codec.decode(bytes, width: width, height: height, into: buffer)
        }
        return Image(uncheckedWidth: width, height: height, pixels: pixels)
    }

    /// Decodes one image from a region.
    public static func decode(
        _ region: ByteRegion, limits: ImageLimits = ImageLimits()
    ) throws(ImageError) -> Image {
        try unsafe region.withBytes { (bytes) throws(ImageError) in
            try unsafe decode(bytes, limits: limits)
        }
    }
}

/// The two libraries behind one face.
private enum Codec {
    case jpeg, png

    var name: String { self == .jpeg ? "JPEG" : "PNG" }

    init(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        if unsafe bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if unsafe bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else {
            let start = unsafe bytes.prefix(4).map { String($0, radix: 16) }.joined(separator: " ")
            throw ImageError(
                code: .unknownFormat,
                message: "decode image: neither a JPEG nor a PNG (\(bytes.count) bytes, "
                    + "beginning with \(start.isEmpty ? "nothing" : start))")
        }
    }

    func size(of bytes: UnsafeRawBufferPointer) throws(ImageError) -> (width: Int, height: Int) {
        var width: UInt32 = 0
        var height: UInt32 = 0
        var message = martlet_image_message()
        let base = unsafe bytes.assumingMemoryBound(to: UInt8.self).baseAddress
        let status =
            switch self {
            case .jpeg: unsafe martlet_jpeg_size(base, bytes.count, &width, &height, &message)
            case .png: unsafe martlet_png_size(base, bytes.count, &width, &height, &message)
            }
        try check(status, &message)
        return (Int(width), Int(height))
    }

    func decode(
        _ bytes: UnsafeRawBufferPointer, width: Int, height: Int,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(ImageError) {
        var message = martlet_image_message()
        let base = unsafe bytes.assumingMemoryBound(to: UInt8.self).baseAddress
        let pixels = unsafe buffer.assumingMemoryBound(to: UInt8.self).baseAddress
        let (width, height) = (UInt32(width), UInt32(height))
        let status =
            switch self {
            case .jpeg:
                unsafe martlet_jpeg_decode(base, bytes.count, width, height, pixels, &message)
            case .png:
                unsafe martlet_png_decode(base, bytes.count, width, height, pixels, &message)
            }
        try check(status, &message)
    }

    private func check(
        _ status: martlet_image_status, _ message: inout martlet_image_message
    ) throws(ImageError) {
        if status == MARTLET_IMAGE_OK { return }
        let code: ImageError.Code =
            switch status {
            case MARTLET_IMAGE_NO_MEMORY: .outOfMemory
            case MARTLET_IMAGE_LIMIT: .tooLarge
            default: .corrupt
            }
        let text = unsafe withUnsafeBytes(of: &message.text) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        throw ImageError(
            code: code, message: "decode \(name): \(text.isEmpty ? "out of memory" : text)")
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletImages
internal import MartletBase

/// In which order a tensor made from an image holds its values.
public enum ImageLayout: Sendable, Hashable {
    /// Channel by channel: [3, height, width].
    case planes
    /// Pixel by pixel: [height, width, 3].
    case pixels
}

extension Image {
    /// Writes `(pixel / 255 - mean) / deviation`, by channel, to `width * height * 3` floats.
    ///
    /// For another rule choose the two accordingly: mean 0 and deviation 1/255 keep 0 to 255.
    public func normalize(
        mean: (Float, Float, Float) = (0, 0, 0), deviation: (Float, Float, Float) = (1, 1, 1),
        layout: ImageLayout = .planes, into target: UnsafeMutableBufferPointer<Float>
    ) throws(ImageError) {
        guard target.count == pixels.count else {
            throw ImageError(
                code: .invalidArgument,
                message: "normalise image: \(pixels.count) values, the tensor holds "
                    + "\(target.count)")
        }
        let scale = [1 / (255 * deviation.0), 1 / (255 * deviation.1), 1 / (255 * deviation.2)]
        let bias = [-mean.0 / deviation.0, -mean.1 / deviation.1, -mean.2 / deviation.2]
        unsafe pixels.withBytes { bytes in
            let source = unsafe bytes.assumingMemoryBound(to: UInt8.self).baseAddress
            let count = width * height
            switch layout {
            case .planes:
                unsafe martlet_rgb8_to_planes_f32(source, count, scale, bias, target.baseAddress)
            case .pixels:
                unsafe martlet_rgb8_to_f32(source, count, scale, bias, target.baseAddress)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletImages
internal import MartletTensor

/// The stages from an image's bytes to a tensor.
enum ImageStages {
    /// Pixels that one pipeline holds decoded, in images of every request together.
    static let pixelsHeldMax = 2 * ImageLimits().pixelsMax

    /// Decodes every image of the request, once the budget has room for all of them.
    static func decode(
        _ data: StageData, _ budget: PixelBudget
    ) throws(ServingError) -> StageData {
        guard let input = data.tensors.first, input.tensor.elementType == .bytes else {
            throw ServingError(.invalidArgument, "stage 'decode_image' expects one input of BYTES")
        }
        let ranges = try BytesTensor.ranges(input.tensor, name: input.name)
        let bytes = unsafe input.tensor.bytes
        do throws(ImageError) {
            var total = 0
            for range in ranges {
                let size = unsafe try ImageDecoder.size(
                    of: UnsafeRawBufferPointer(rebasing: bytes[range]))
                total += size.width * size.height
                guard total <= ImageLimits().pixelsMax else {
                    throw ImageError(
                        code: .tooLarge,
                        message: "decode image: the request's images have more than "
                            + "\(ImageLimits().pixelsMax) pixels together")
                }
            }
            var result = data
            result.lease = budget.take(total)
            var images: [Image] = []
            images.reserveCapacity(ranges.count)
            for range in ranges {
                images.append(
                    unsafe try ImageDecoder.decode(UnsafeRawBufferPointer(rebasing: bytes[range])))
            }
            result.images = images
            result.tensors = []
            return result
        } catch {
            throw ServingError(failure: error)
        }
    }

    static func resize(
        _ data: StageData, shorterSide: Int, crop: Int
    ) throws(ServingError) -> StageData {
        var result = data
        do throws(ImageError) {
            var images: [Image] = []
            for image in data.images ?? [] {
                images.append(
                    try image.resized(shorterSide: shorterSide).centreCropped(
                        width: crop, height: crop))
            }
            result.images = images
            result.lease = nil
        } catch {
            throw ServingError(failure: error)
        }
        return result
    }

    struct Rule: Sendable {
        var mean: [Float]
        var deviation: [Float]
        var scale: Float
        var layout: PipelineConfiguration.Layout
        var inputName: String

        /// The settings in the decoder's terms, which always divides by 255 first.
        var adapted: (mean: (Float, Float, Float), deviation: (Float, Float, Float)) {
            let factor = 1 / (255 * scale)
            func three(_ values: [Float]) -> (Float, Float, Float) {
                let scaled = values.map { $0 * factor }
                return scaled.count == 3
                    ? (scaled[0], scaled[1], scaled[2]) : (scaled[0], scaled[0], scaled[0])
            }
            return (three(mean), three(deviation))
        }
    }

    static func normalize(_ data: StageData, _ rule: Rule) throws(ServingError) -> StageData {
        guard let images = data.images, let first = images.first else {
            throw ServingError(.invalidArgument, "stage 'normalize' has no image to work on")
        }
        guard images.allSatisfy({ $0.width == first.width && $0.height == first.height }) else {
            throw ServingError(
                .invalidArgument, "stage 'normalize': the images of one request differ in size")
        }
        let count = first.width * first.height * 3
        let storage = TensorStorage(byteCount: images.count * count * 4)
        let floats = unsafe storage.mutableBytes.bindMemory(to: Float.self)
        let (mean, deviation) = rule.adapted
        let isPlanes = rule.layout == .channelsFirst
        do {
            for (index, image) in images.enumerated() {
                try unsafe image.normalize(
                    mean: mean, deviation: deviation, layout: isPlanes ? .planes : .pixels,
                    into: UnsafeMutableBufferPointer(
                        rebasing: floats[index * count..<(index + 1) * count]))
            }
            let shape: Shape =
                isPlanes
                ? [images.count, 3, first.height, first.width]
                : [images.count, first.height, first.width, 3]
            let tensor = try Tensor(elementType: .float32, shape: shape, storage: storage)
            var result = data
            result.images = nil
            result.tensors = [NamedTensor(name: rule.inputName, tensor: tensor)]
            return result
        } catch {
            throw ServingError(failure: error)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// The sizes of a convolution or pool over images; one-dimensional signals are images of height 1.
struct ImageGeometry {
    var batch: Int
    var channels: Int
    var inHeight: Int
    var inWidth: Int
    var outChannels: Int
    var outHeight: Int
    var outWidth: Int
    var kernelHeight = 1
    var kernelWidth = 1
    var strideHeight = 1
    var strideWidth = 1
    var dilationHeight = 1
    var dilationWidth = 1
    var padTop = 0
    var padLeft = 0
    var padBottom = 0
    var padRight = 0
    var isChannelsLast: Bool

    var inPixels: Int { inHeight * inWidth }
    var outPixels: Int { outHeight * outWidth }

    /// - Throws: for tensors of more than two spatial dimensions.
    init(_ node: Lowering, input: Shape, output: Shape, kernel: [Int]?) throws {
        isChannelsLast = node.string("layout") == "NHWC"
        guard input.rank == 3 || input.rank == 4, output.rank == input.rank else {
            throw node.failure("\(input.rank - 2) spatial dimensions; one or two are supported")
        }
        let spatial = isChannelsLast ? 1..<(input.rank - 1) : 2..<input.rank
        let channelAxis = isChannelsLast ? input.rank - 1 : 1
        func pair(_ shape: Shape) -> (Int, Int) {
            spatial.count == 1
                ? (1, shape[spatial.lowerBound])
                : (shape[spatial.lowerBound], shape[spatial.lowerBound + 1])
        }
        batch = input[0]
        channels = input[channelAxis]
        outChannels = output[channelAxis]
        (inHeight, inWidth) = pair(input)
        (outHeight, outWidth) = pair(output)
        let count = spatial.count
        let strides = node.ints("strides") ?? Array(repeating: 1, count: count)
        let dilations = node.ints("dilations") ?? Array(repeating: 1, count: count)
        let kernel = kernel ?? Array(repeating: 1, count: count)
        guard strides.count == count, dilations.count == count, kernel.count == count else {
            throw node.failure("strides, dilations or kernel_shape of another rank", .invalidModel)
        }
        strideWidth = strides[count - 1]
        dilationWidth = dilations[count - 1]
        kernelWidth = kernel[count - 1]
        if count == 2 {
            strideHeight = strides[0]
            dilationHeight = dilations[0]
            kernelHeight = kernel[0]
        }
        try setPads(node, count: count)
    }

    private mutating func setPads(_ node: Lowering, count: Int) throws {
        let mode = node.string("auto_pad", default: "NOTSET")
        if mode == "SAME_UPPER" || mode == "SAME_LOWER" {
            func same(_ input: Int, _ output: Int, _ stride: Int, _ extent: Int) -> (Int, Int) {
                let total = max((output - 1) * stride + extent - input, 0)
                let small = total / 2
                return mode == "SAME_UPPER" ? (small, total - small) : (total - small, small)
            }
            (padTop, padBottom) = same(
                inHeight, outHeight, strideHeight, (kernelHeight - 1) * dilationHeight + 1)
            (padLeft, padRight) = same(
                inWidth, outWidth, strideWidth, (kernelWidth - 1) * dilationWidth + 1)
            return
        }
        guard mode != "VALID", let pads = node.ints("pads") else { return }
        guard pads.count == 2 * count else {
            throw node.failure("pads of another rank", .invalidModel)
        }
        padLeft = pads[count - 1]
        padRight = pads[2 * count - 1]
        if count == 2 {
            padTop = pads[0]
            padBottom = pads[2]
        }
    }
}

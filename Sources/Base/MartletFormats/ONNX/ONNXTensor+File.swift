// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

extension ONNXTensor {
    /// Reads a tensor that is a message of its own, as the files of ONNX's test data sets are.
    ///
    /// Throws `FormatError` for anything that is not a well-formed tensor. Contents stay in place.
    public init(
        _ region: ByteRegion, limits: ONNXLimits = ONNXLimits()
    ) throws(FormatError) {
        var parser = ONNXParser(region: region, itemsLeft: limits.itemsMax)
        let reader = unsafe ProtobufReader(region.bytes, depthLimit: limits.depthMax)
        self = try parser.tensor(reader)
        withExtendedLifetime(region) {}
    }
}

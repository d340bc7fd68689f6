// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletServing
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite("Inference body fuzz")
struct InferenceFuzzTests {
    private static let json = Array(
        (#"{"id":"1","inputs":[{"name":"a","datatype":"FP32","shape":[2,2],"data":[[1,2],[3,4]]},"#
            + #"{"name":"b","datatype":"BYTES","shape":[2],"data":["x","y"]},"#
            + #"{"name":"c","datatype":"INT64","shape":[0],"data":[]}],"#
            + #""outputs":[{"name":"o","parameters":{"binary_data":true,"classification":2}}],"#
            + #""parameters":{"priority":1,"timeout":5,"binary_data_output":true}}"#).utf8)
    private static let binary = Array(
        (#"{"inputs":[{"name":"a","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}},"#
            + #"{"name":"b","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]}"#)
            .utf8)

    /// Every tensor of an accepted request lies in its memory and can be answered with.
    private func check(_ decoded: InferenceBody.Decoded) throws {
        let request = decoded.request
        var total = 0
        for input in request.inputs {
            for index in 0..<input.tensor.byteCount {
                total &+= unsafe Int(input.tensor.bytes[index])
            }
        }
        _ = try InferenceBody.encode(
            InferenceResponse(model: "m", version: "1", id: request.id, outputs: request.inputs),
            for: decoded)
    }

    @Test("JSON bodies")
    func jsonBodies() {
        let host = ScriptedHost()
        fuzz("inference JSON", seeds: [InferenceFuzzTests.json]) { bytes in
            try check(
                try InferenceBody.decode(bytes, headerLength: nil, model: "echo", host: host))
        }
    }

    @Test("binary bodies")
    func binaryBodies() {
        let host = ScriptedHost()
        let seed = InferenceFuzzTests.binary + [0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 0x61]
        let lengths = [InferenceFuzzTests.binary.count, 0, seed.count, 1]
        var turn = 0
        fuzz("inference binary", seeds: [seed]) { bytes in
            turn += 1
            // Mostly where the JSON still ends, wherever the damage moved it.
            let length =
                turn % 4 == 0
                ? lengths[turn / 4 % 4] : (bytes.lastIndex(of: UInt8(ascii: "}")) ?? 0) + 1
            try check(
                try InferenceBody.decode(bytes, headerLength: length, model: "echo", host: host))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletStorage

/// Has an image classified through the Open Inference Protocol, the image's bytes as a binary
/// tensor behind the JSON header.
enum ImageQuestion {
    private static let imageBytesMax = 32 << 20

    /// The best classes, as the model's post stage words them.
    static func classify(
        path: String, model: String, client: LoopbackClient
    ) throws -> [String] {
        let image = try FileSystem.readAll(path, limit: imageBytesMax)
        let length = UInt32(image.count)
        var element = [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: length >> UInt32($0)) }
        element += image
        let header: JSONValue = [
            "inputs": [
                [
                    "name": "image", "datatype": "BYTES", "shape": [1, 1],
                    "parameters": ["binary_data_size": .integer(Int64(element.count))],
                ]
            ]
        ]
        let json = header.serialized()
        let answer = try client.post(
            "/v2/models/\(model)/infer",
            headers: [
                "Content-Type": "application/octet-stream",
                "Inference-Header-Content-Length": "\(json.count)",
            ], body: json + element)
        let outputs = try JSONValue(parsing: answer.body)["outputs"]?.arrayValue ?? []
        let labels = outputs.flatMap { $0["data"]?.arrayValue ?? [] }.compactMap(\.stringValue)
        guard !labels.isEmpty else {
            throw LoopbackClient.Failure(description: "the answer holds no labels")
        }
        return labels
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletServing
internal import MartletTensor
internal import ServiceContextModule

/// The inference codec without its route: for fuzzing and measuring.
package enum InferenceBody {
    /// A request, and how its answer is to be written.
    package struct Decoded: Sendable {
        package var request: InferenceRequest
        var encoder: InferenceEncoder
    }

    /// Reads a request's body for a model.
    /// - Parameter headerLength: the value of `Inference-Header-Content-Length`, when given.
    package static func decode(
        _ bytes: [UInt8], headerLength: Int?, model: String, host: any ModelHost
    ) throws -> Decoded {
        guard headerLength ?? 0 <= bytes.count, headerLength ?? 0 >= 0 else {
            throw ServingError(.invalidArgument, "the header is longer than the body")
        }
        var collector = BodyCollector(length: bytes.count, alignedPlace: headerLength ?? 0)
        unsafe bytes.withUnsafeBytes { _ = unsafe collector.append($0) }
        let body = collector.finish()
        var form: InferenceForm?
        let decoded = try InferenceDecoder.decode(
            body, headerLength: headerLength, model: ModelReference(name: model), host: host,
            context: .topLevel, form: &form)
        // What a connection would remember of it makes the same of the same bytes.
        return form?.fill(body, context: .topLevel) ?? decoded
    }

    /// The parts of the body that answers `decoded` with `response`, joined.
    package static func encode(
        _ response: InferenceResponse, for decoded: Decoded
    ) throws -> [UInt8] {
        let answer = try decoded.encoder.encode(response)
        var bytes = answer.bytes
        for part in answer.parts {
            switch part {
            case .bytes(let piece): bytes += piece
            case .tensor(let tensor): unsafe bytes.append(contentsOf: tensor.bytes)
            }
        }
        return bytes
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletServing
internal import ServiceContextModule

/// The decoders of texts without their routes: for fuzzing.
package enum TextBody {
    package static func decodeEmbedding(_ bytes: [UInt8]) throws -> EmbeddingRequest {
        try EmbeddingCoding.decode(body(bytes), context: .topLevel).0
    }

    package static func decodeRerank(_ bytes: [UInt8]) throws -> RerankRequest {
        try RerankCoding.decode(body(bytes), context: .topLevel).0
    }

    private static func body(_ bytes: [UInt8]) -> HTTPBody {
        var collector = BodyCollector(length: bytes.count)
        unsafe bytes.withUnsafeBytes { _ = unsafe collector.append($0) }
        return collector.finish()
    }
}

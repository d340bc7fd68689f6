// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Which paths are passed on to upstreams: those of inference. The gateway asks with its own key,
/// and what else a server has behind its other paths (loading, unloading, files, shutting down) is
/// open only where a route names the path.
package enum UpstreamPath {
    package enum Kind: Sendable, Hashable {
        /// A question to a model.
        case inference
        /// Anything else: only where a route names it.
        case other
        /// It could mean another path to somebody else: `..`, `//`, encoded dots or slashes.
        case ambiguous
    }

    /// O(length).
    package static func kind(_ path: String) -> Kind {
        if isAmbiguous(path) { return .ambiguous }
        if known.contains(path) || calls.contains(path) { return .inference }
        return isModelPath(path) ? .inference : .other
    }

    /// OpenAI's, Anthropic's, Cohere's and Jina's, and those of vLLM, SGLang, TGI and TEI.
    private static let known: Set<String> = [
        "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings",
        "/v1/moderations", "/v1/audio/speech", "/v1/audio/transcriptions",
        "/v1/audio/translations", "/v1/images/generations", "/v1/images/edits",
        "/v1/images/variations", "/v1/messages", "/v1/messages/count_tokens", "/v1/rerank",
        "/v2/rerank", "/rerank", "/v1/score", "/score", "/v1/classify", "/classify", "/pooling",
        "/embed", "/tokenize", "/detokenize", "/v1/tokenize", "/v1/detokenize", "/generate",
        "/generate_stream",
    ]

    private static let calls: Set<String> = Set(
        [
            "ModelInfer", "ModelStreamInfer", "ModelReady", "ModelMetadata", "ModelConfig",
            "ModelStatistics", "ServerLive", "ServerReady", "ServerMetadata",
        ].map { "/inference.GRPCInferenceService/" + $0 })

    private static let modelCalls: Set<Substring> = [
        "infer", "generate", "generate_stream", "ready", "config", "stats",
    ]

    /// `/v2/models/NAME[/versions/VERSION][/CALL]`.
    private static func isModelPath(_ path: String) -> Bool {
        guard path.hasPrefix("/v2/models/") else { return false }
        var rest = path.dropFirst("/v2/models/".count)
            .split(separator: "/", omittingEmptySubsequences: false)[...]
        guard let name = rest.popFirst(), !name.isEmpty else { return false }
        if rest.first == "versions" {
            guard rest.count >= 2 else { return false }
            rest = rest.dropFirst(2)
        }
        guard let call = rest.popFirst() else { return true }
        return rest.isEmpty && modelCalls.contains(call)
    }

    private static func isAmbiguous(_ path: String) -> Bool {
        var text = path
        return text.withUTF8 { bytes in
            var start = 0
            for place in 0...bytes.count {
                if place < bytes.count {
                    switch unsafe bytes[place] {
                    case UInt8(ascii: "\\"), UInt8(ascii: ";"): return true
                    case UInt8(ascii: "%"):
                        if unsafe hidesMeaning(bytes, place) { return true }
                    default: break
                    }
                    guard unsafe bytes[place] == UInt8(ascii: "/") else { continue }
                }
                let segment = start..<place
                start = place + 1
                // Before the first slash, and behind a last one, nothing stands.
                if segment.isEmpty, segment.lowerBound > 0, place < bytes.count { return true }
                if unsafe isDots(bytes, segment) { return true }
            }
            return false
        }
    }

    private static func isDots(_ bytes: UnsafeBufferPointer<UInt8>, _ segment: Range<Int>) -> Bool {
        guard segment.count == 1 || segment.count == 2 else { return false }
        return segment.allSatisfy { unsafe bytes[$0] == UInt8(ascii: ".") }
    }

    /// `%2e`, `%2f`, `%5c`, `%25` and `%00`, or no encoding at all.
    private static func hidesMeaning(
        _ bytes: UnsafeBufferPointer<UInt8>, _ place: Int
    ) -> Bool {
        guard place + 2 < bytes.count, let high = unsafe QueryText.digit(bytes[place + 1]),
            let low = unsafe QueryText.digit(bytes[place + 2])
        else { return true }
        let byte = high << 4 | low
        return byte < 0x20 || byte == 0x7F || ".%/\\".utf8.contains(byte)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletWire

/// What the server says of itself outside any protocol.
public enum AdminRoutes {
    /// Adds `GET /`, `GET /healthz` and, with a source of them, `GET /metrics`.
    public static func add(
        to router: inout Router, name: String, version: String,
        metrics: (@Sendable () -> [UInt8])? = nil
    ) {
        router.on(.get, "/") { _, responder in
            responder.complete(.json(describe(name: name, version: version)))
        }
        router.on(.get, "/healthz") { _, responder in responder.complete(.text("ok\n")) }
        guard let metrics else { return }
        router.on(.get, "/metrics") { _, responder in
            responder.complete(
                HTTPResponse(
                    contentType: "text/plain; version=0.0.4; charset=utf-8",
                    bytes: metrics()))
        }
    }

    private static func describe(name: String, version: String) -> [UInt8] {
        let value: JSONValue = [
            "name": .string(name), "version": .string(version),
            "routes": [
                "/v2": "Open Inference Protocol v2", "/v1/models": "OpenAI: models",
                "/v1/embeddings": "OpenAI: embeddings", "/v1/rerank": "reranking",
                "/metrics": "Prometheus", "/healthz": "liveness",
            ],
        ]
        return value.serialized()
    }
}

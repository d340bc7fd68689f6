// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletWire

/// `/v1/load_lora_adapter` and `/v1/unload_lora_adapter`, as vLLM has them; the answers are plain
/// text. Off unless the host allows it.
enum AdapterRoutes {
    static func add(to router: inout Router, _ host: any ModelHost) {
        router.on(.post, "/v1/load_lora_adapter") { request, responder in
            answer(responder) {
                let fields = try GenerationFields(request.body)
                let name = try required("lora_name", fields)
                let folder = try required("lora_path", fields)
                let model = try fields.string("base_model") ?? fields.string("base_model_name")
                return {
                    try await host.loadAdapter(name, folder: folder, model: model)
                    return "Success: LoRA adapter '\(name)' added successfully."
                }
            }
        }
        router.on(.post, "/v1/unload_lora_adapter") { request, responder in
            answer(responder) {
                let name = try required("lora_name", GenerationFields(request.body))
                return {
                    try await host.unloadAdapter(name)
                    return "Success: LoRA adapter '\(name)' removed successfully."
                }
            }
        }
    }

    private static func required(
        _ name: String, _ fields: GenerationFields
    ) throws(OpenAIError) -> String {
        guard let text = try fields.string(name), !text.isEmpty else {
            throw EmbeddingCoding.missing(name)
        }
        return text
    }

    private static func answer(
        _ responder: HTTPResponder, _ prepare: () throws -> @Sendable () async throws -> String
    ) {
        do {
            let work = try prepare()
            // Off the event loop: weights are read.
            Task {
                do {
                    responder.complete(.text(try await work()))
                } catch {
                    responder.complete(.openAI(error))
                }
            }
        } catch {
            responder.complete(.openAI(error))
        }
    }
}

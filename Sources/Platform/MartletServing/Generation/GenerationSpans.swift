// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import ServiceContextModule
internal import Tracing

extension TracingBackend {
    /// Opens the spans of a request's way through a language model, afterwards and from measured
    /// instants: waiting, reading its prompt, making its answer. Attributes are OpenTelemetry's for
    /// generative models.
    func recordGeneration(
        _ usage: GenerationUsage, model: String, reason: FinishReason?, context: ServiceContext
    ) {
        guard let tracer else { return }
        let wall = Int64(wallMilliseconds()) &* 1_000_000
        func instant(_ moment: MonotonicInstant) -> DefaultTracerClock.Timestamp {
            let ago = moment.duration(to: usage.ended).nanosecondsSaturating
            return DefaultTracerClock.Timestamp(
                nanosecondsSinceEpoch: UInt64(max(0, wall &- ago)))
        }
        let started = usage.started ?? usage.ended
        // Told apart from a request's own queue and decoding.
        var stages = [("generation.queue", usage.arrived, started)]
        if usage.started != nil {
            let first = usage.firstToken ?? usage.ended
            stages.append(("generation.prefill", started, first))
            if usage.firstToken != nil { stages.append(("generation.decode", first, usage.ended)) }
        }
        for (name, from, to) in stages {
            let span = tracer.startSpan(
                name, context: context, ofKind: .internal, at: instant(from))
            span.attributes["gen_ai.request.model"] = model
            switch name {
            case "generation.prefill":
                span.attributes["gen_ai.usage.input_tokens"] = usage.promptTokens
                span.attributes["martlet.cached_tokens"] = usage.cachedTokens
            case "generation.decode":
                span.attributes["gen_ai.usage.output_tokens"] = usage.completionTokens
                if let reason {
                    span.attributes["gen_ai.response.finish_reasons"] = ["\(reason)"]
                }
            default: break
            }
            span.end(at: instant(to))
        }
    }
}

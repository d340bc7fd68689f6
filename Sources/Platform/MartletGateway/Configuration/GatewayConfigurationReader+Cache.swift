// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

extension GatewayConfigurationReader {
    /// `cache: {for: deterministic, ttl: 5m, stale: 1h, bytes: 67108864, …}` of a model.
    func readCache(_ parent: ConfigurationSection) -> CachePolicy? {
        guard let node = parent["cache"],
            let section = ConfigurationSection(node, "cache of \(parent.name)", problems)
        else { return nil }
        section.allow([
            "for", "ttl", "stale", "bytes", "entries", "entry_bytes", "wait", "waiters", "vary",
            "shared",
        ])
        var policy = CachePolicy()
        section.choice("for", &policy.use)
        section.duration("ttl", &policy.limits.timeToLive)
        if policy.use == .fallback { policy.limits.staleFor = .seconds(86_400) }
        section.duration("stale", &policy.limits.staleFor)
        section.integer("bytes", 1_024...(1 << 40), &policy.limits.bytesMax)
        section.integer("entries", 1...100_000_000, &policy.limits.entriesMax)
        section.integer("entry_bytes", 1...(16 << 20), &policy.limits.entryBytesMax)
        section.integer("waiters", 0...100_000, &policy.limits.waitersMax)
        section.duration("wait", &policy.wait)
        section.flag("shared", &policy.isShared)
        policy.vary = section.references("vary").map { $0.name.lowercased() }
        return policy
    }

    /// `fallback_answer: {status: 200, content_type: application/json, body: '…'}` of a model.
    func readFallbackAnswer(_ parent: ConfigurationSection) -> FixedAnswer? {
        guard let node = parent["fallback_answer"],
            let section = ConfigurationSection(
                node, "fallback_answer of \(parent.name)", problems)
        else { return nil }
        section.allow(["status", "content_type", "body"])
        var answer = FixedAnswer()
        section.integer("status", 200...599, &answer.status)
        if let body = section.requiredText("body", "the text to answer with") {
            answer.body = Array(body.utf8)
        }
        if let type = section.text("content_type") {
            if type.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) {
                answer.contentType = type
            } else if let node = section["content_type"] {
                section.wrong("content_type", "a media type", node)
            }
        }
        return answer
    }
}

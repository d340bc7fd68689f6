// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension RoutingCompiler {
    /// Requests go to the first version; the proxy turns to the other.
    mutating func compileCascade(
        _ cascade: GatewayConfiguration.Cascade, model index: Int, _ what: String
    ) {
        guard let first = version(cascade.first, index, "the cascade of \(what)"),
            let then = version(cascade.then, index, "the cascade of \(what)")
        else { return }
        tables.models[index].standard = .version(first)
        tables.models[index].cascade = RoutingTables.Cascade(
            first: first, then: then, policy: cascade.policy)
    }

    mutating func semanticCache(
        _ cache: GatewayConfiguration.SemanticCache, _ what: String
    ) -> RoutingTables.SemanticCache? {
        pool(cache.pool, "the semantic cache of \(what)").map {
            RoutingTables.SemanticCache(pool: $0, policy: cache.policy)
        }
    }
}

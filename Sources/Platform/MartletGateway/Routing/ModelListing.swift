// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension RoutingSnapshot {
    /// A name that requests may say: a model's own, an alias, or an adapter of a model.
    package struct ModelName: Sendable, Hashable {
        package var name: String
        /// Its number.
        package var model: Int
        package var isAdapter = false
    }

    /// Models in the file's order, then aliases and adapters by name; those only that `isAllowed`
    /// lets through.
    package func modelNames(where isAllowed: (Int) -> Bool) -> [ModelName] {
        var found = tables.models.enumerated().map { ModelName(name: $1.name, model: $0) }
        let aliases = tables.modelIndex.filter { tables.models[$1].name != $0 }
        found += aliases.sorted { $0.key < $1.key }.map { ModelName(name: $0.key, model: $0.value) }
        found += tables.adapterIndex.sorted { $0.key < $1.key }
            .map { ModelName(name: $0.key, model: $0.value, isAdapter: true) }
        return found.filter { isAllowed($0.model) }
    }

    /// A model's versions.
    package func versions(ofModel model: Int) -> [RoutingTables.Version] {
        tables.versions.filter { $0.model == model }
    }
}

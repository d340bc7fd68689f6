// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension RoutingSnapshot {
    /// A name that requests may say: a model's own, or an alias.
    package struct ModelName: Sendable, Hashable {
        package var name: String
        /// Its number.
        package var model: Int
    }

    /// Models in the file's order, then aliases by name; those only that `isAllowed` lets through.
    package func modelNames(where isAllowed: (Int) -> Bool) -> [ModelName] {
        var found = tables.models.enumerated().map { ModelName(name: $1.name, model: $0) }
        let aliases = tables.modelIndex.filter { tables.models[$1].name != $0 }
        found += aliases.sorted { $0.key < $1.key }.map { ModelName(name: $0.key, model: $0.value) }
        return found.filter { isAllowed($0.model) }
    }

    /// A model's versions.
    package func versions(ofModel model: Int) -> [RoutingTables.Version] {
        tables.versions.filter { $0.model == model }
    }
}

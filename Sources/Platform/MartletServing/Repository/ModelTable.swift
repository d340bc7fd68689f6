// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// The models that requests see: immutable; a change is a new table.
package final class ModelTable: Sendable {
    package struct Entry: Sendable {
        /// Ascending by version number.
        package var versions: [ServedModel]

        package init(versions: [ServedModel]) {
            self.versions = versions
        }

        /// What a request without a version gets: the highest number.
        var latest: ServedModel? { versions.last }
    }

    package let entries: [String: Entry]
    /// Further names, and whose they are.
    package let otherNames: [String: String]

    package init(entries: [String: Entry] = [:], otherNames: [String: String] = [:]) {
        self.entries = entries
        self.otherNames = otherNames
    }

    /// - Throws: `.notFound` for an unknown model or version.
    package func find(_ name: String, version: String?) throws(ServingError) -> ServedModel {
        guard let entry = entries[name] ?? otherNames[name].flatMap({ entries[$0] }) else {
            throw ServingError(.notFound, "Request for unknown model: '\(name)' is not found")
        }
        let found =
            version.map { wanted in
                wanted.isEmpty ? entry.latest : entry.versions.last { $0.version == wanted }
            } ?? entry.latest
        guard let found else {
            throw ServingError(
                .notFound,
                "Request for unknown model: '\(name)' version \(version ?? "") is not found")
        }
        return found
    }

    /// Whether an ensemble's steps, or those of ensembles among them, lead to the model `name`.
    func reaches(_ name: String, from ensemble: ModelConfiguration.Ensemble?) -> Bool {
        var waiting = ensemble?.steps.map(\.modelName) ?? []
        var seen: Set<String> = []
        while let next = waiting.popLast() {
            if next == name { return true }
            guard seen.insert(next).inserted else { continue }
            for served in entries[next]?.versions ?? [] {
                waiting += served.configuration.ensemble?.steps.map(\.modelName) ?? []
            }
        }
        return false
    }

    /// The models that no ensemble of the table is made of: what may be taken out first. All, where
    /// each is part of another.
    var independent: Set<String> {
        let used = entries.values.flatMap(\.versions)
            .flatMap { $0.configuration.ensemble?.steps.map(\.modelName) ?? [] }
        let free = Set(entries.keys).subtracting(used)
        return free.isEmpty ? Set(entries.keys) : free
    }

    /// The table with one model's versions replaced; none takes the model out.
    func replacing(_ name: String, with versions: [ServedModel]) -> ModelTable {
        var entries = entries
        entries[name] = versions.isEmpty ? nil : Entry(versions: versions)
        return ModelTable(entries: entries, otherNames: otherNames)
    }
}

/// The current table. Readers hold the lock for one retain; a change holds it for one store.
package final class ModelTableReference: Sendable {
    private let table: Mutex<ModelTable>

    package init(otherNames: [String: String] = [:]) {
        table = Mutex(ModelTable(otherNames: otherNames))
    }

    package var current: ModelTable { table.withLock { $0 } }

    func store(_ new: ModelTable) {
        // The old table is released outside the lock: it may be the last to hold a model.
        let old = table.withLock { table -> ModelTable in
            let old = table
            table = new
            return old
        }
        _ = consume old
    }
}

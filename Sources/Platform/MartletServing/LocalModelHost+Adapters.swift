// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

extension LocalModelHost {
    /// What a model's name stands for when it is an adapter's, alone or as `model:adapter`.
    func adapter(named name: String) -> (base: String, name: String)? {
        let table = table.current
        let entries = table.entries
        if entries[name] != nil || table.otherNames[name] != nil { return nil }
        if let colon = name.lastIndex(of: ":") {
            let (named, adapter) = (
                String(name[..<colon]), String(name[name.index(after: colon)...])
            )
            let base = table.otherNames[named] ?? named
            if entries[base]?.latest?.executor.adapters.contains(adapter) == true {
                return (base, adapter)
            }
        }
        for (base, entry) in entries.sorted(by: { $0.key < $1.key })
        where entry.latest?.executor.adapters.contains(name) == true {
            return (base, name)
        }
        return nil
    }

    public func loadAdapter(_ name: String, folder: String, model: String?) async throws {
        guard options.allowsAdapterUpdates else { throw LocalModelHost.noUpdates }
        guard !name.isEmpty, name.utf8.count <= 256, table.current.entries[name] == nil else {
            throw ServingError(.invalidArgument, "an adapter cannot be called '\(name)'")
        }
        let executor = try adapterExecutor(model)
        try await withCheckedThrowingContinuation { continuation in
            executor.loadAdapter(name, folder: folder) { continuation.resume(with: $0) }
        }
    }

    public func unloadAdapter(_ name: String) async throws {
        guard options.allowsAdapterUpdates else { throw LocalModelHost.noUpdates }
        guard let found = adapter(named: name),
            try table.current.find(found.base, version: nil).executor.unloadAdapter(found.name)
        else { throw ServingError(.notFound, "no adapter '\(name)' is loaded") }
    }

    private static let noUpdates = ServingError(
        .unsupported,
        "adapters are loaded at start only; --allow-adapter-updates lets clients change them")

    /// The model that an adapter is for: the only one that generates where none is named.
    private func adapterExecutor(_ model: String?) throws -> any ModelExecutor {
        if let model { return try table.current.find(model, version: nil).executor }
        let all = table.current.entries.values.compactMap(\.latest)
            .filter { $0.capabilities.contains(.generation) }
        guard all.count == 1 else {
            throw ServingError(
                .invalidArgument, "\(all.count) models generate text: name one as base_model")
        }
        return all[0].executor
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletGraph
package import MartletStorage

extension NativeEngine {
    /// Loads a graph that was built over files' weights. With a plan cache, what is packed of them
    /// is kept there and mapped the next time.
    /// - Parameter files: all that the graph was made from; none where nothing is to be kept.
    package func load(
        _ graph: Graph, from files: [MappedFile], options: EngineOptions
    ) throws -> any EngineSession {
        guard let cache = options.planCache, !files.isEmpty else {
            return try load(.graph(graph), options: options)
        }
        let store = WeightStore(folder: StoreFolder(cache: cache), options: options)
        do {
            var graph = graph
            try graph.inferShapes()
            switch store.find(files) {
            case .weights(let stored):
                return try prepare(graph, options: options, .graph(graph), stored: stored)
            case .nothing: break
            case .refused(let reason):
                options.note?("packed anew, stored weights refused: \(reason)")
            }
            if let session = try packAndKeep(graph, files, store) { return session }
            // Gone by now, so that its weights are not in memory twice: the file's pages, which
            // other processes share, take their place.
            guard case .weights(let stored) = store.find(files) else {
                return try prepare(graph, options: options, .graph(graph))
            }
            return try prepare(graph, options: options, .graph(graph), stored: stored)
        } catch let error as GraphError {
            throw EngineError(error)
        }
    }

    /// - Returns: the session where its weights could not be stored; nil where they were.
    private func packAndKeep(
        _ graph: Graph, _ files: [MappedFile], _ store: WeightStore
    ) throws -> NativeSession? {
        let session = try prepare(graph, options: store.options, .graph(graph))
        do {
            try store.keep(session, files)
            return nil
        } catch {
            store.options.note?(
                "the packed weights of '\(files[0].path)' are not stored: \(error)")
            return session
        }
    }
}

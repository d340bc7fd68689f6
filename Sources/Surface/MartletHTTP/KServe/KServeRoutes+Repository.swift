// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletWire

extension KServeRoutes {
    /// The model repository extension: index, load, unload.
    func addRepository(to router: inout Router) {
        let host = host
        router.on(
            .post, "/v2/repository/index",
            KServeRoutes.immediate { request in
                let readyOnly = try request.jsonObject()["ready"]?.boolValue ?? false
                return .json(KServeRoutes.encode(host.index(readyOnly: readyOnly)))
            })
        router.on(
            .post, "/v2/repository/models/:model/load",
            KServeRoutes.deferred { request in
                let model = try ModelReference(request)
                let change = try RepositoryChange(loading: model.name, request.jsonObject())
                try await host.load(
                    model: model.name, configuration: change.configuration, files: change.files)
                return .empty()
            })
        router.on(
            .post, "/v2/repository/models/:model/unload",
            KServeRoutes.deferred { request in
                let model = try ModelReference(request)
                let change = try RepositoryChange(unloading: request.jsonObject())
                try await host.unload(
                    model: model.name, includingDependents: change.includesDependents)
                return .empty()
            })
    }

    private static func encode(_ entries: [RepositoryEntry]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for entry in entries {
            writer.beginObject()
            writer.key("name")
            writer.string(entry.name)
            if !entry.version.isEmpty {
                writer.key("version")
                writer.string(entry.version)
            }
            writer.key("state")
            writer.string(entry.state.rawValue)
            writer.key("reason")
            writer.string(entry.reason)
            writer.endObject()
        }
        writer.endArray()
        return writer.bytes
    }
}

/// What the body of a load or unload request says.
struct RepositoryChange {
    var configuration: String?
    var files: [String: [UInt8]] = [:]
    var includesDependents = false

    init(loading model: String, _ body: JSONObject) throws(ServingError) {
        for (name, value) in try RepositoryChange.parameters(body) {
            if name == "config", let text = value.stringValue {
                configuration = text
            } else if name.hasPrefix("file:"), let text = value.stringValue {
                guard let bytes = Base64.decode(text) else {
                    throw ServingError(
                        .invalidArgument, "load parameter '\(name)' is no base64 text")
                }
                files[String(name.dropFirst("file:".count))] = bytes
            } else {
                throw ServingError(
                    .invalidArgument, "unrecognized load parameter '\(name)' or its type")
            }
        }
        guard files.isEmpty || configuration != nil else {
            throw ServingError(
                .invalidArgument,
                "load parameter 'config' must be given where files are, for model '\(model)'")
        }
    }

    init(unloading body: JSONObject) throws(ServingError) {
        for (name, value) in try RepositoryChange.parameters(body) {
            guard name == "unload_dependents", let flag = value.boolValue else {
                throw ServingError(
                    .invalidArgument, "unrecognized unload parameter '\(name)' or its type")
            }
            includesDependents = flag
        }
    }

    private static func parameters(_ body: JSONObject) throws(ServingError) -> JSONObject {
        guard let value = body["parameters"] else { return JSONObject() }
        guard let parameters = value.objectValue else {
            throw ServingError(.invalidArgument, "'parameters' must be an object")
        }
        return parameters
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletTensor
internal import MartletWire

extension KServeRoutes {
    /// The shared-memory extensions. CUDA memory cannot be registered: the engine runs on the CPU.
    func addSharedMemory(to router: inout Router) {
        addSystemSharedMemory(to: &router)
        for path in ["status", "region/:region/status"] {
            router.on(
                .get, "/v2/cudasharedmemory/" + path,
                KServeRoutes.immediate { _ in .json([0x5B, 0x5D]) })
        }
        router.on(
            .post, "/v2/cudasharedmemory/region/:region/register",
            KServeRoutes.immediate { _ in
                throw ServingError(
                    .unsupported, "CUDA shared memory is not supported: models run on the CPU")
            })
        for path in ["unregister", "region/:region/unregister"] {
            router.on(
                .post, "/v2/cudasharedmemory/" + path, KServeRoutes.immediate { _ in .empty() })
        }
    }

    private func addSystemSharedMemory(to router: inout Router) {
        let registry = host.sharedMemory
        let base = "/v2/systemsharedmemory"
        for path in ["/status", "/region/:region/status"] {
            router.on(
                .get, base + path,
                KServeRoutes.immediate { request in
                    .json(
                        KServeRoutes.encode(
                            try sharing { () throws(SharedMemoryError) in
                                try registry.status(name: request.parameter("region"))
                            }))
                })
        }
        router.on(
            .post, base + "/region/:region/register",
            KServeRoutes.immediate { request in
                let body = try request.jsonObject()
                guard let key = body["key"]?.stringValue, let size = body["byte_size"]?.intValue
                else {
                    throw ServingError(
                        .invalidArgument, "'key' (a string) and 'byte_size' (a number) are needed")
                }
                guard let offset = body["offset", default: 0].intValue else {
                    throw ServingError(.invalidArgument, "'offset' must be a number")
                }
                try sharing { () throws(SharedMemoryError) in
                    try registry.register(
                        name: request.parameter("region") ?? "", key: key, offset: offset,
                        byteSize: size)
                }
                return .empty()
            })
        router.on(
            .post, base + "/region/:region/unregister",
            KServeRoutes.immediate { request in
                try sharing { () throws(SharedMemoryError) in
                    try registry.unregister(name: request.parameter("region") ?? "")
                }
                return .empty()
            })
        router.on(
            .post, base + "/unregister",
            KServeRoutes.immediate { _ in
                try sharing { () throws(SharedMemoryError) in
                    try registry.unregisterAll()
                }
                return .empty()
            })
    }

    private static func encode(_ regions: [SharedMemoryRegistry.Region]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for region in regions {
            writer.beginObject()
            writer.key("name")
            writer.string(region.name)
            writer.key("key")
            writer.string(region.key)
            writer.key("offset")
            writer.integer(region.offset)
            writer.key("byte_size")
            writer.integer(region.byteSize)
            writer.endObject()
        }
        writer.endArray()
        return writer.bytes
    }
}

extension JSONObject {
    subscript(key: String, default fallback: JSONValue) -> JSONValue { self[key] ?? fallback }
}

/// Runs `body`, its refusals in the door's terms.
private func sharing<Result>(
    _ body: () throws(SharedMemoryError) -> Result
) throws(ServingError) -> Result {
    do throws(SharedMemoryError) {
        return try body()
    } catch {
        throw ServingError(error)
    }
}

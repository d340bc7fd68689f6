// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletJSON
internal import MartletServing
internal import MartletTensor
internal import MartletWire

extension KServeRoutes {
    /// A model's metadata, readiness, configuration and statistics, with and without a version.
    func addModels(to router: inout Router) {
        let host = host
        for base in ["/v2/models/:model", "/v2/models/:model/versions/:version"] {
            router.on(
                .get, base,
                KServeRoutes.immediate { request in
                    let model = try ModelReference(request)
                    let metadata = try host.metadata(model: model.name, version: model.version)
                    return .json(KServeRoutes.encode(metadata))
                })
            router.on(
                .get, base + "/ready",
                KServeRoutes.immediate { request in
                    let model = try ModelReference(request)
                    return .empty(try KServeRoutes.isReady(model, host) ? 200 : 400)
                })
            router.on(
                .get, base + "/config",
                KServeRoutes.immediate { request in
                    let model = try ModelReference(request)
                    let configuration = try host.configuration(
                        model: model.name, version: model.version)
                    return .json(ModelConfigurationEncoder.encode(configuration))
                })
            router.on(
                .get, base + "/stats",
                KServeRoutes.immediate { request in
                    let model = try ModelReference(request)
                    let all = try host.statistics(model: model.name, version: model.version)
                    return .json(StatisticsEncoder.encode(all))
                })
        }
        router.on(
            .get, "/v2/models/stats",
            KServeRoutes.immediate { _ in
                .json(StatisticsEncoder.encode(try host.statistics(model: nil, version: nil)))
            })
    }

    /// As in Triton, a model that is not there is not ready, which is no error of its own.
    private static func isReady(_ model: ModelReference, _ host: any ModelHost) throws -> Bool {
        do {
            return try host.isReady(model: model.name, version: model.version)
        } catch let error as ServingError where error.code == .notFound {
            return false
        }
    }

    private static func encode(_ metadata: ModelMetadata) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("name")
        writer.string(metadata.name)
        writer.key("versions")
        writer.strings(metadata.versions)
        writer.key("platform")
        writer.string(metadata.platform)
        writer.key("inputs")
        write(metadata.inputs, to: &writer)
        writer.key("outputs")
        write(metadata.outputs, to: &writer)
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ tensors: [TensorSpec], to writer: inout JSONWriter) {
        writer.beginArray()
        for tensor in tensors {
            writer.beginObject()
            writer.key("name")
            writer.string(tensor.name)
            writer.key("datatype")
            writer.string(tensor.elementType.protocolName ?? "")
            writer.key("shape")
            writer.integers(tensor.dimensions)
            writer.endObject()
        }
        writer.endArray()
    }
}

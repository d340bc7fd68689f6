// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletFormats
internal import MartletServing
internal import MartletTensor

/// ModelReady, ModelMetadata, ModelConfig and ModelStatistics.
struct ModelMethods {
    private let host: any ModelHost

    init(_ host: any ModelHost) {
        self.host = host
    }

    var all: [GRPCMethod] { [ready, metadata, configuration, statistics] }

    private var ready: GRPCMethod {
        let host = host
        return .immediate("ModelReady") { request, response in
            let model = try ModelReference(&request)
            response.bool(1, try ModelMethods.isReady(model, host))
        }
    }

    /// As in Triton, a model that is not there is not ready, which is no error.
    private static func isReady(_ model: ModelReference, _ host: any ModelHost) throws -> Bool {
        do {
            return try host.isReady(model: model.name, version: model.version)
        } catch let error as ServingError where error.code == .notFound {
            return false
        }
    }

    private var metadata: GRPCMethod {
        let host = host
        return .immediate("ModelMetadata") { request, response in
            let model = try ModelReference(&request)
            let metadata = try host.metadata(model: model.name, version: model.version)
            response.text(1, metadata.name)
            for version in metadata.versions { response.string(2, version) }
            response.text(3, metadata.platform)
            for input in metadata.inputs { ModelMethods.write(input, field: 4, to: &response) }
            for output in metadata.outputs { ModelMethods.write(output, field: 5, to: &response) }
        }
    }

    private static func write(
        _ tensor: TensorSpec, field: Int, to response: inout ProtobufWriter
    ) {
        let mark = response.beginMessage(field)
        response.text(1, tensor.name)
        response.text(2, tensor.elementType.protocolName ?? "")
        response.packed(3, tensor.dimensions.lazy.map { Int64($0) })
        response.endMessage(mark)
    }

    private var configuration: GRPCMethod {
        let host = host
        return .immediate("ModelConfig") { request, response in
            let model = try ModelReference(&request)
            let configuration = try host.configuration(
                model: model.name, version: model.version)
            let mark = response.beginMessage(1)
            ModelConfigEncoder.write(configuration, to: &response)
            response.endMessage(mark)
        }
    }

    private var statistics: GRPCMethod {
        let host = host
        return .immediate("ModelStatistics") { request, response in
            let model = try ModelReference(&request)
            let all = try host.statistics(
                model: model.name.isEmpty ? nil : model.name, version: model.version)
            for statistics in all {
                let mark = response.beginMessage(1)
                StatisticsEncoder.write(statistics, to: &response)
                response.endMessage(mark)
            }
        }
    }
}

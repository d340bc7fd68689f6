// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing
internal import MartletTensor

/// The protocol's `ModelConfig` message; field numbers are those of Triton's `model_config.proto`.
enum ModelConfigEncoder {
    static func write(_ configuration: ModelConfiguration, to message: inout ProtobufWriter) {
        message.text(1, configuration.name)
        message.text(2, configuration.platform)
        write(configuration.versionPolicy, to: &message)
        message.integer(4, configuration.maxBatchSize)
        for input in configuration.inputs { write(input, to: &message) }
        for output in configuration.outputs { write(output, to: &message) }
        for group in configuration.instanceGroups {
            let mark = message.beginMessage(7)
            message.text(1, group.name)
            message.integer(2, group.count)
            message.integer(4, group.kind.rawValue)
            message.endMessage(mark)
        }
        message.text(8, configuration.defaultModelFilename)
        if let batching = configuration.dynamicBatching { write(batching, to: &message) }
        for (key, value) in configuration.parameters.sorted(by: { $0.key < $1.key }) {
            message.mapEntry(14, key: key) { entry in
                let mark = entry.beginMessage(2)
                entry.text(1, value)
                entry.endMessage(mark)
            }
        }
        if let ensemble = configuration.ensemble { write(ensemble, to: &message) }
        for warmup in configuration.warmups { write(warmup, to: &message) }
        message.text(17, configuration.backend)
    }

    private static func write(
        _ policy: ModelConfiguration.VersionPolicy, to message: inout ProtobufWriter
    ) {
        let mark = message.beginMessage(3)
        switch policy {
        case .latest(let count):
            let inner = message.beginMessage(1)
            message.integer(1, count)
            message.endMessage(inner)
        case .all:
            let inner = message.beginMessage(2)
            message.endMessage(inner)
        case .specific(let versions):
            let inner = message.beginMessage(3)
            message.packed(1, versions)
            message.endMessage(inner)
        }
        message.endMessage(mark)
    }

    private static func write(
        _ input: ModelConfiguration.Input, to message: inout ProtobufWriter
    ) {
        let mark = message.beginMessage(5)
        message.text(1, input.name)
        message.integer(2, input.elementType.configurationNumber)
        message.integer(3, input.format.rawValue)
        message.packed(4, input.dimensions.lazy.map { Int64($0) })
        write(reshape: input.reshape, field: 5, to: &message)
        message.flag(8, input.isOptional)
        message.endMessage(mark)
    }

    private static func write(
        _ output: ModelConfiguration.Output, to message: inout ProtobufWriter
    ) {
        let mark = message.beginMessage(6)
        message.text(1, output.name)
        message.integer(2, output.elementType.configurationNumber)
        message.packed(3, output.dimensions.lazy.map { Int64($0) })
        message.text(4, output.labelFilename)
        write(reshape: output.reshape, field: 5, to: &message)
        message.endMessage(mark)
    }

    private static func write(
        reshape: [Int]?, field: Int, to message: inout ProtobufWriter
    ) {
        guard let reshape else { return }
        let mark = message.beginMessage(field)
        message.packed(1, reshape.lazy.map { Int64($0) })
        message.endMessage(mark)
    }

    private static func write(
        _ batching: ModelConfiguration.DynamicBatching, to message: inout ProtobufWriter
    ) {
        let mark = message.beginMessage(11)
        message.packed(1, batching.preferredBatchSizes.lazy.map { Int64($0) })
        message.number(2, batching.maxQueueDelayMicroseconds)
        message.flag(3, batching.preservesOrdering)
        message.number(4, batching.priorityLevels)
        message.number(5, batching.defaultPriorityLevel)
        let policy = message.beginMessage(6)
        write(batching.defaultQueuePolicy, to: &message)
        message.endMessage(policy)
        for (level, policy) in batching.priorityQueuePolicies.sorted(by: { $0.key < $1.key }) {
            let entry = message.beginMessage(7)
            message.uint64(1, level)
            let value = message.beginMessage(2)
            write(policy, to: &message)
            message.endMessage(value)
            message.endMessage(entry)
        }
        message.endMessage(mark)
    }

    private static func write(
        _ policy: ModelConfiguration.QueuePolicy, to message: inout ProtobufWriter
    ) {
        message.integer(1, policy.timeoutAction.rawValue)
        message.number(2, policy.defaultTimeoutMicroseconds)
        message.flag(3, policy.allowsTimeoutOverride)
        message.integer(4, policy.queueSizeMax)
    }

    private static func write(
        _ ensemble: ModelConfiguration.Ensemble, to message: inout ProtobufWriter
    ) {
        let mark = message.beginMessage(15)
        for step in ensemble.steps {
            let inner = message.beginMessage(1)
            message.text(1, step.modelName)
            message.int64(2, step.modelVersion)
            write(step.inputMap, field: 3, to: &message)
            write(step.outputMap, field: 4, to: &message)
            message.endMessage(inner)
        }
        message.integer(2, ensemble.inflightRequestsMax)
        message.endMessage(mark)
    }

    private static func write(
        _ names: [String: String], field: Int, to message: inout ProtobufWriter
    ) {
        for (key, value) in names.sorted(by: { $0.key < $1.key }) {
            message.mapEntry(field, key: key) { $0.string(2, value) }
        }
    }

    private static func write(
        _ warmup: ModelConfiguration.Warmup, to message: inout ProtobufWriter
    ) {
        let mark = message.beginMessage(16)
        message.text(1, warmup.name)
        message.integer(2, warmup.batchSize)
        for (name, input) in warmup.inputs.sorted(by: { $0.key < $1.key }) {
            message.mapEntry(3, key: name) { entry in
                let value = entry.beginMessage(2)
                entry.integer(1, input.elementType.configurationNumber)
                entry.packed(2, input.dimensions.lazy.map { Int64($0) })
                switch input.data {
                case .zero: entry.bool(3, true)
                case .random: entry.bool(4, true)
                case .file(let name): entry.string(5, name)
                }
                entry.endMessage(value)
            }
        }
        message.integer(4, warmup.count)
        message.endMessage(mark)
    }
}

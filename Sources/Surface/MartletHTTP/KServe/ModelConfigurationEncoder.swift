// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletTensor

/// The protocol's `ModelConfig` as JSON: the names of `model_config.proto`, as Triton prints them.
enum ModelConfigurationEncoder {
    static func encode(_ configuration: ModelConfiguration) -> [UInt8] {
        var object = JSONObject()
        object["name"] = .string(configuration.name)
        object["platform"] = .string(configuration.platform)
        object["backend"] = .string(configuration.backend)
        object["version_policy"] = versionPolicy(configuration.versionPolicy)
        object["max_batch_size"] = .integer(Int64(configuration.maxBatchSize))
        object["input"] = .array(configuration.inputs.map(input))
        object["output"] = .array(configuration.outputs.map(output))
        object["batch_input"] = []
        object["batch_output"] = []
        if let batching = configuration.dynamicBatching {
            object["dynamic_batching"] = dynamicBatching(batching)
        }
        if let ensemble = configuration.ensemble {
            object["ensemble_scheduling"] = .object(ensembleScheduling(ensemble))
        }
        object["instance_group"] = .array(configuration.instanceGroups.map(instanceGroup))
        object["default_model_filename"] = .string(configuration.defaultModelFilename)
        object["cc_model_filenames"] = [:]
        object["metric_tags"] = [:]
        var parameters = JSONObject()
        for (key, value) in configuration.parameters.sorted(by: { $0.key < $1.key }) {
            parameters[key] = ["string_value": .string(value)]
        }
        object["parameters"] = .object(parameters)
        object["model_warmup"] = .array(configuration.warmups.map(warmup))
        return JSONValue.object(object).serialized()
    }

    private static func versionPolicy(
        _ policy: ModelConfiguration.VersionPolicy
    ) -> JSONValue {
        switch policy {
        case .latest(let count): ["latest": ["num_versions": .integer(Int64(count))]]
        case .all: ["all": [:]]
        case .specific(let versions):
            ["specific": ["versions": .array(versions.map { .integer($0) })]]
        }
    }

    private static func dimensions(_ values: [Int]) -> JSONValue {
        .array(values.map { .integer(Int64($0)) })
    }

    private static func input(_ input: ModelConfiguration.Input) -> JSONValue {
        var object = JSONObject()
        object["name"] = .string(input.name)
        object["data_type"] = .string(input.elementType.configurationName)
        object["format"] =
            switch input.format {
            case .none: "FORMAT_NONE"
            case .nhwc: "FORMAT_NHWC"
            case .nchw: "FORMAT_NCHW"
            }
        object["dims"] = dimensions(input.dimensions)
        if let reshape = input.reshape { object["reshape"] = ["shape": dimensions(reshape)] }
        object["is_shape_tensor"] = false
        object["allow_ragged_batch"] = false
        object["optional"] = .bool(input.isOptional)
        return .object(object)
    }

    private static func output(_ output: ModelConfiguration.Output) -> JSONValue {
        var object = JSONObject()
        object["name"] = .string(output.name)
        object["data_type"] = .string(output.elementType.configurationName)
        object["dims"] = dimensions(output.dimensions)
        if let reshape = output.reshape { object["reshape"] = ["shape": dimensions(reshape)] }
        object["label_filename"] = .string(output.labelFilename)
        object["is_shape_tensor"] = false
        return .object(object)
    }

    private static func dynamicBatching(
        _ batching: ModelConfiguration.DynamicBatching
    ) -> JSONValue {
        var policies = JSONObject()
        for (level, policy) in batching.priorityQueuePolicies.sorted(by: { $0.key < $1.key }) {
            policies[String(level)] = queuePolicy(policy)
        }
        return [
            "preferred_batch_size": dimensions(batching.preferredBatchSizes),
            "max_queue_delay_microseconds": number(batching.maxQueueDelayMicroseconds),
            "preserve_ordering": .bool(batching.preservesOrdering),
            "priority_levels": number(batching.priorityLevels),
            "default_priority_level": number(batching.defaultPriorityLevel),
            "default_queue_policy": queuePolicy(batching.defaultQueuePolicy),
            "priority_queue_policy": .object(policies),
        ]
    }

    private static func number(_ value: UInt64) -> JSONValue {
        .integer(Int64(clamping: value))
    }

    private static func queuePolicy(_ policy: ModelConfiguration.QueuePolicy) -> JSONValue {
        [
            "timeout_action": policy.timeoutAction == .reject ? "REJECT" : "DELAY",
            "default_timeout_microseconds": number(policy.defaultTimeoutMicroseconds),
            "allow_timeout_override": .bool(policy.allowsTimeoutOverride),
            "max_queue_size": .integer(Int64(policy.queueSizeMax)),
        ]
    }

    private static func instanceGroup(_ group: ModelConfiguration.InstanceGroup) -> JSONValue {
        let kind: JSONValue =
            switch group.kind {
            case .auto: "KIND_AUTO"
            case .gpu: "KIND_GPU"
            case .cpu: "KIND_CPU"
            case .model: "KIND_MODEL"
            }
        return [
            "name": .string(group.name), "kind": kind, "count": .integer(Int64(group.count)),
            "gpus": [], "secondary_devices": [], "profile": [], "passive": false,
            "host_policy": "",
        ]
    }

    private static func ensembleScheduling(_ ensemble: ModelConfiguration.Ensemble) -> JSONObject {
        func map(_ names: [String: String]) -> JSONValue {
            var object = JSONObject()
            for (key, value) in names.sorted(by: { $0.key < $1.key }) {
                object[key] = .string(value)
            }
            return .object(object)
        }
        var object = JSONObject()
        object["step"] = .array(
            ensemble.steps.map { step in
                [
                    "model_name": .string(step.modelName),
                    "model_version": .integer(step.modelVersion),
                    "input_map": map(step.inputMap), "output_map": map(step.outputMap),
                ]
            })
        object["max_inflight_requests"] = .integer(Int64(ensemble.inflightRequestsMax))
        return object
    }

    private static func warmup(_ warmup: ModelConfiguration.Warmup) -> JSONValue {
        var inputs = JSONObject()
        for (name, input) in warmup.inputs.sorted(by: { $0.key < $1.key }) {
            var object = JSONObject()
            object["data_type"] = .string(input.elementType.configurationName)
            object["dims"] = dimensions(input.dimensions)
            switch input.data {
            case .zero: object["zero_data"] = true
            case .random: object["random_data"] = true
            case .file(let file): object["input_data_file"] = .string(file)
            }
            inputs[name] = .object(object)
        }
        return [
            "name": .string(warmup.name), "batch_size": .integer(Int64(warmup.batchSize)),
            "inputs": .object(inputs), "count": .integer(Int64(warmup.count)),
        ]
    }
}

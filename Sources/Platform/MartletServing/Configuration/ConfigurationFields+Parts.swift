// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletTensor

// The parts of `ModelConfig`, one function each.
extension ConfigurationFields {
    mutating func versionPolicy(_ field: PBTextField) throws(FormatError) {
        for choice in try field.message().fields {
            switch choice.name {
            case "all": configuration.versionPolicy = .all
            case "latest":
                var count: UInt64 = 1
                for inner in try choice.message().fields {
                    guard inner.name == "num_versions" else {
                        throw inner.failure("is not a field of 'latest'")
                    }
                    count = try inner.count()
                    guard count >= 1, count <= 1 << 20 else {
                        throw inner.failure("is \(count), expected 1 or more")
                    }
                }
                configuration.versionPolicy = .latest(Int(count))
            case "specific":
                var versions: [Int64] = []
                for inner in try choice.message().fields {
                    guard inner.name == "versions" else {
                        throw inner.failure("is not a field of 'specific'")
                    }
                    versions.append(try inner.number())
                }
                guard !versions.isEmpty else { throw choice.failure("names no version") }
                configuration.versionPolicy = .specific(versions)
            default: throw choice.failure("is no version policy: latest, all or specific")
            }
        }
    }

    mutating func input(_ field: PBTextField) throws(FormatError) {
        var parsed = ModelConfiguration.Input(name: "", elementType: .float32, dimensions: [])
        var type: ElementType?
        for inner in try field.message().fields {
            switch inner.name {
            case "name": parsed.name = try inner.string()
            case "data_type": type = try inner.elementType()
            case "dims": parsed.dimensions.append(try inner.dimension())
            case "reshape": parsed.reshape = try reshape(inner)
            case "format":
                switch try inner.name() {
                case "FORMAT_NONE", "0": parsed.format = .none
                case "FORMAT_NHWC", "1": parsed.format = .nhwc
                case "FORMAT_NCHW", "2": parsed.format = .nchw
                default: throw inner.failure("is no format")
                }
            case "optional":
                parsed.isOptional = try inner.bool()
                if parsed.isOptional { try leftOver(inner, ["optional"], in: "input.") }
            default:
                try leftOver(
                    inner,
                    ["is_shape_tensor", "allow_ragged_batch", "is_non_linear_format_io"],
                    in: "input.")
            }
        }
        guard !parsed.name.isEmpty else { throw field.failure("has no name") }
        guard let type else { throw field.failure("'\(parsed.name)' has no data_type") }
        parsed.elementType = type
        configuration.inputs.append(parsed)
    }

    mutating func output(_ field: PBTextField) throws(FormatError) {
        var parsed = ModelConfiguration.Output(name: "", elementType: .float32, dimensions: [])
        var type: ElementType?
        for inner in try field.message().fields {
            switch inner.name {
            case "name": parsed.name = try inner.string()
            case "data_type": type = try inner.elementType()
            case "dims": parsed.dimensions.append(try inner.dimension())
            case "reshape": parsed.reshape = try reshape(inner)
            case "label_filename": parsed.labelFilename = try inner.string()
            default:
                try leftOver(
                    inner, ["is_shape_tensor", "is_non_linear_format_io"], in: "output.")
            }
        }
        guard !parsed.name.isEmpty else { throw field.failure("has no name") }
        guard let type else { throw field.failure("'\(parsed.name)' has no data_type") }
        parsed.elementType = type
        configuration.outputs.append(parsed)
    }

    private func reshape(_ field: PBTextField) throws(FormatError) -> [Int] {
        var shape: [Int] = []
        for inner in try field.message().fields {
            guard inner.name == "shape" else { throw inner.failure("is not a field of 'reshape'") }
            shape.append(try inner.dimension())
        }
        return shape
    }

    mutating func instanceGroup(_ field: PBTextField) throws(FormatError) {
        var group = ModelConfiguration.InstanceGroup(
            name: "\(configuration.name)_\(configuration.instanceGroups.count)")
        for inner in try field.message().fields {
            switch inner.name {
            case "name":
                let name = try inner.string()
                if !name.isEmpty { group.name = name }
            case "count":
                let count = try inner.number()
                guard count >= 0, count <= ConfigurationFields.instanceCountMax else {
                    throw inner.failure(
                        "is \(count), expected 1 to \(ConfigurationFields.instanceCountMax)")
                }
                group.count = max(1, Int(count))
            case "kind":
                switch try inner.name() {
                case "KIND_AUTO", "0", "KIND_CPU", "2": group.kind = .cpu
                case "KIND_MODEL", "3": group.kind = .model
                case "KIND_GPU", "1":
                    warnings.append(
                        "line \(inner.line): instance_group kind KIND_GPU is not honoured: the "
                            + "model runs on the CPU")
                    group.kind = .cpu
                default: throw inner.failure("is no kind of instance")
                }
            default:
                try leftOver(
                    inner,
                    [
                        "gpus", "profile", "rate_limiter", "passive", "secondary_devices",
                        "host_policy",
                    ], in: "instance_group.")
            }
        }
        configuration.instanceGroups.append(group)
        guard configuration.instanceCount <= ConfigurationFields.instanceCountMax else {
            throw field.failure(
                "makes \(configuration.instanceCount) instances, at most "
                    + "\(ConfigurationFields.instanceCountMax) are run")
        }
    }

    mutating func dynamicBatching(_ field: PBTextField) throws(FormatError) {
        var batching = ModelConfiguration.DynamicBatching()
        for inner in try field.message().fields {
            switch inner.name {
            case "preferred_batch_size":
                batching.preferredBatchSizes.append(Int(clamping: try inner.number()))
            case "max_queue_delay_microseconds":
                batching.maxQueueDelayMicroseconds = try inner.count()
            case "preserve_ordering": batching.preservesOrdering = try inner.bool()
            case "priority_levels":
                let levels = try inner.count()
                guard levels <= 1000 else {
                    throw inner.failure("is \(levels), at most 1000 levels are kept")
                }
                batching.priorityLevels = levels
            case "default_priority_level": batching.defaultPriorityLevel = try inner.count()
            case "default_queue_policy": batching.defaultQueuePolicy = try queuePolicy(inner)
            case "priority_queue_policy":
                let entry = try inner.message()
                guard let key = entry.last("key") else { throw inner.failure("has no key") }
                let policy = try entry.last("value").map { value throws(FormatError) in
                    try queuePolicy(value)
                }
                batching.priorityQueuePolicies[try key.count()] =
                    policy ?? ModelConfiguration.QueuePolicy()
            default: try leftOver(inner, [], in: "dynamic_batching.")
            }
        }
        configuration.dynamicBatching = batching
    }

    private mutating func queuePolicy(
        _ field: PBTextField
    ) throws(FormatError) -> ModelConfiguration.QueuePolicy {
        var policy = ModelConfiguration.QueuePolicy()
        for inner in try field.message().fields {
            switch inner.name {
            case "timeout_action":
                switch try inner.name() {
                case "REJECT", "0": policy.timeoutAction = .reject
                case "DELAY", "1": policy.timeoutAction = .delay
                default: throw inner.failure("is neither REJECT nor DELAY")
                }
            case "default_timeout_microseconds":
                policy.defaultTimeoutMicroseconds = try inner.count()
            case "allow_timeout_override": policy.allowsTimeoutOverride = try inner.bool()
            case "max_queue_size":
                let size = try inner.count()
                let bound = UInt64(ModelConfiguration.QueuePolicy.defaultQueueSizeMax)
                policy.queueSizeMax = Int(clamping: size == 0 ? bound : min(size, 1 << 24))
            default: try leftOver(inner, [], in: "queue_policy.")
            }
        }
        return policy
    }

    mutating func parameter(_ field: PBTextField) throws(FormatError) {
        let entry = try field.message()
        guard let key = try entry.last("key")?.string(), let value = entry.last("value") else {
            throw field.failure("has no key or no value")
        }
        // Written as { string_value: "…" }; a load call's JSON may give the bare string.
        if case .string = value.value {
            configuration.parameters[key] = try value.string()
        } else {
            configuration.parameters[key] = try value.message().last("string_value")?.string() ?? ""
        }
    }

    mutating func ensemble(_ field: PBTextField) throws(FormatError) {
        var ensemble = ModelConfiguration.Ensemble(steps: [])
        for inner in try field.message().fields {
            switch inner.name {
            case "step": ensemble.steps.append(try step(inner))
            case "max_inflight_requests":
                ensemble.inflightRequestsMax = Int(clamping: min(try inner.count(), 1 << 20))
            default: try leftOver(inner, [], in: "ensemble_scheduling.")
            }
        }
        guard !ensemble.steps.isEmpty else { throw field.failure("has no step") }
        configuration.ensemble = ensemble
    }

    private mutating func step(
        _ field: PBTextField
    ) throws(FormatError) -> ModelConfiguration.Ensemble.Step {
        var step = ModelConfiguration.Ensemble.Step(modelName: "", inputMap: [:], outputMap: [:])
        for inner in try field.message().fields {
            switch inner.name {
            case "model_name": step.modelName = try inner.string()
            case "model_version": step.modelVersion = try inner.number()
            case "input_map", "output_map":
                let entry = try inner.message()
                guard let key = try entry.last("key")?.string(),
                    let value = try entry.last("value")?.string()
                else { throw inner.failure("has no key or no value") }
                if inner.name == "input_map" {
                    step.inputMap[key] = value
                } else {
                    step.outputMap[key] = value
                }
            default: try leftOver(inner, ["model_namespace"], in: "step.")
            }
        }
        guard !step.modelName.isEmpty else { throw field.failure("has no model_name") }
        return step
    }

    mutating func warmup(_ field: PBTextField) throws(FormatError) {
        var warmup = ModelConfiguration.Warmup(name: "", batchSize: 0, inputs: [:])
        for inner in try field.message().fields {
            switch inner.name {
            case "name": warmup.name = try inner.string()
            case "batch_size": warmup.batchSize = Int(clamping: min(try inner.count(), 1 << 20))
            case "count": warmup.count = max(1, Int(clamping: min(try inner.count(), 1000)))
            case "inputs":
                let entry = try inner.message()
                guard let key = try entry.last("key")?.string(), let value = entry.last("value")
                else { throw inner.failure("has no key or no value") }
                warmup.inputs[key] = try warmupInput(value)
            default: try leftOver(inner, [], in: "model_warmup.")
            }
        }
        configuration.warmups.append(warmup)
    }

    private mutating func warmupInput(
        _ field: PBTextField
    ) throws(FormatError) -> ModelConfiguration.Warmup.Input {
        var type: ElementType?
        var dimensions: [Int] = []
        var data = ModelConfiguration.Warmup.Data.zero
        for inner in try field.message().fields {
            switch inner.name {
            case "data_type": type = try inner.elementType()
            case "dims": dimensions.append(try inner.dimension())
            case "zero_data": data = .zero
            case "random_data": data = .random
            case "input_data_file": data = .file(try inner.string())
            default: try leftOver(inner, [], in: "model_warmup.inputs.")
            }
        }
        guard let type else { throw field.failure("has no data_type") }
        return ModelConfiguration.Warmup.Input(
            elementType: type, dimensions: dimensions, data: data)
    }
}

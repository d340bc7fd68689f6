// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletTensor

/// Walks a `ModelConfig` message and fills a `ModelConfiguration`.
///
/// A field that Triton knows and Martlet does not honour becomes a warning with its line; a field
/// that nobody knows, or whose value cannot be right, is an error with its line.
struct ConfigurationFields {
    var configuration: ModelConfiguration
    var warnings: [String] = []
    /// Where a check that looks at several fields puts its blame.
    var lines: [String: PBTextField] = [:]

    private let folderName: String

    init(name: String, folderName: String) {
        configuration = ModelConfiguration(name: name)
        self.folderName = folderName
    }

    static let unhonoured: Set<String> = [
        "cc_model_filenames", "metric_tags", "optimization", "sequence_batching",
        "model_operations", "model_transaction_policy", "batch_input", "batch_output",
        "model_repository_agents", "response_cache", "runtime", "model_metrics",
    ]

    /// Instances of one model, over all groups: each is a thread with an arena.
    static let instanceCountMax = 1024

    /// Platforms and back ends whose models our engine runs.
    static let platforms: Set<String> = [
        "", "onnxruntime_onnx", "onnxruntime", "martlet", "ensemble",
    ]

    mutating func model(_ message: PBTextMessage) throws(FormatError) {
        for field in message.fields {
            lines[field.name] = field
            switch field.name {
            case "name":
                let name = try field.string()
                guard ["", configuration.name, folderName].contains(name) else {
                    throw field.failure(
                        "is '\(name)', but the model's folder is called "
                            + "'\(folderName.isEmpty ? configuration.name : folderName)'")
                }
            case "platform", "backend":
                let value = try field.string()
                guard ConfigurationFields.platforms.contains(value) else {
                    throw field.failure(
                        "is '\(value)'; Martlet runs onnxruntime_onnx, onnxruntime, ensemble")
                }
                if field.name == "platform" {
                    configuration.platform = value
                } else {
                    configuration.backend = value
                }
            case "max_batch_size":
                let size = try field.number()
                guard size >= 0, size <= 1 << 20 else {
                    throw field.failure("is \(size), expected 0 to \(1 << 20)")
                }
                configuration.maxBatchSize = Int(size)
                configuration.statesMaxBatchSize = true
            case "default_model_filename":
                configuration.defaultModelFilename = try field.string()
            case "version_policy": try versionPolicy(field)
            case "input": try input(field)
            case "output": try output(field)
            case "instance_group": try instanceGroup(field)
            case "dynamic_batching": try dynamicBatching(field)
            case "parameters": try parameter(field)
            case "ensemble_scheduling": try ensemble(field)
            case "model_warmup": try warmup(field)
            default: try leftOver(field, ConfigurationFields.unhonoured, in: "")
            }
        }
    }

    /// A field that no case took: a warning when Triton knows it, an error otherwise.
    mutating func leftOver(
        _ field: PBTextField, _ known: Set<String>, in path: String
    ) throws(FormatError) {
        guard known.contains(field.name) else {
            throw field.failure("is not a field of a model's configuration")
        }
        let place = field.line > 0 ? "line \(field.line): " : ""
        warnings.append("\(place)field '\(path)\(field.name)' is not honoured")
    }

    // MARK: Checks over several fields

    mutating func check() throws(FormatError) {
        let isEnsemble = configuration.platform == "ensemble"
        if isEnsemble != (configuration.ensemble != nil), let field = lines["platform"] {
            throw field.failure(
                isEnsemble
                    ? "is 'ensemble', but there is no ensemble_scheduling"
                    : "must be 'ensemble' where ensemble_scheduling is given")
        }
        if configuration.ensemble != nil {
            configuration.platform = "ensemble"
            if configuration.dynamicBatching != nil, let field = lines["dynamic_batching"] {
                throw field.failure("has no meaning for an ensemble")
            }
        }
        if let pre = configuration.parameters["pre"] {
            configuration.pipeline.pre = try stages(pre)
        }
        if let post = configuration.parameters["post"] {
            configuration.pipeline.post = try stages(post)
        }
        guard let batching = configuration.dynamicBatching, let field = lines["dynamic_batching"]
        else { return }
        if let size = batching.preferredBatchSizes.first(where: {
            $0 < 1 || $0 > configuration.maxBatchSize
        }) {
            throw field.failure(
                "has the preferred batch size \(size), expected 1 to max_batch_size "
                    + "\(configuration.maxBatchSize)")
        }
        if batching.priorityLevels > 0 {
            guard (1...batching.priorityLevels).contains(batching.defaultPriorityLevel) else {
                throw field.failure(
                    "has the default_priority_level \(batching.defaultPriorityLevel), expected 1 "
                        + "to priority_levels \(batching.priorityLevels)")
            }
        }
        for level in batching.priorityQueuePolicies.keys
        where level < 1 || level > batching.priorityLevels {
            throw field.failure("has a priority_queue_policy for the unknown level \(level)")
        }
        guard batching.preservesOrdering else { return }
        if batching.priorityLevels > 1 {
            throw field.failure("cannot keep the order (preserve_ordering) across priority levels")
        }
        let policies = [batching.defaultQueuePolicy] + batching.priorityQueuePolicies.values
        if policies.contains(where: { $0.timeoutAction == .delay }) {
            throw field.failure("cannot keep the order (preserve_ordering) and DELAY requests")
        }
    }

    private func stages(
        _ text: String
    ) throws(FormatError) -> [PipelineConfiguration.Stage] {
        do {
            return try PipelineConfiguration.stages(parsing: text)
        } catch {
            let field = lines["parameters"] ?? PBTextField(name: "parameters", value: .word(""))
            throw field.failure("names stages that cannot be right: \(error.message)")
        }
    }
}

extension PBTextField {
    /// A whole number; JSON writes 64-bit ones as strings.
    func number() throws(FormatError) -> Int64 {
        if case .string(let bytes) = value,
            let number = Int64(String(decoding: bytes, as: UTF8.self))
        {
            return number
        }
        return try int64()
    }

    func count() throws(FormatError) -> UInt64 {
        let number = try number()
        guard number >= 0 else { throw failure("is \(number), expected 0 or more") }
        return UInt64(number)
    }

    /// An enum's name; JSON writes it as a string.
    func name() throws(FormatError) -> String {
        if case .string = value { return try string() }
        return try word()
    }

    func elementType() throws(FormatError) -> ElementType {
        let name = try name()
        let numbered = ElementType.allCases.first {
            $0.configurationNumber > 0 && String($0.configurationNumber) == name
        }
        guard let type = ElementType(configurationName: name) ?? numbered else {
            throw failure("is '\(name)', which is no data type")
        }
        return type
    }

    /// A dimension: -1 or more.
    func dimension() throws(FormatError) -> Int {
        let number = try number()
        guard number >= -1, number != 0, let dimension = Int(exactly: number) else {
            throw failure("is \(number), expected a positive number or -1")
        }
        return dimension
    }
}

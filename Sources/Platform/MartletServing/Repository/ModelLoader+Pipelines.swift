// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletTensor

extension ModelLoader {
    /// The model with the stages around it that its configuration names; itself without any.
    func pipelined(_ served: ServedModel, of candidate: ModelCandidate) throws -> ServedModel {
        let pipeline = served.configuration.pipeline
        guard !pipeline.isEmpty else { return served }
        let names = served.inputs.map(\.name)
        func prepare(_ stages: [PipelineConfiguration.Stage]) throws -> [PreparedStage] {
            try stages.map {
                try PreparedStage(
                    $0, folder: candidate.folder, isTrusted: candidate.pipeline != nil,
                    inputNames: names)
            }
        }
        try check(pipeline, of: served)
        var inputs = served.inputs
        if let first = pipeline.pre.first {
            var name = "text"
            if case .decodeImage = first { name = "image" }
            inputs = [TensorSpec(name: name, elementType: .bytes, dimensions: [-1])]
        }
        let outputs = outputs(served.outputs, after: pipeline.post)
        let executor = PipelineExecutor(
            around: served, inputs: inputs, outputs: outputs, pre: try prepare(pipeline.pre),
            post: try prepare(pipeline.post), threadsPerStage: stageThreads, time: time)
        return ServedModel(
            name: served.name, version: served.version, configuration: served.configuration,
            inputs: inputs, outputs: outputs, capabilities: served.capabilities,
            statistics: served.statistics, executor: executor)
    }

    /// Stages must follow each other: bytes, images, tensors, and after the model only outputs.
    private func check(
        _ pipeline: PipelineConfiguration, of served: ServedModel
    ) throws(ServingError) {
        enum Form { case bytes, images, tensors }
        var form = Form.bytes
        for stage in pipeline.pre {
            switch (stage, form) {
            case (.tokenize, .bytes): form = .tensors
            case (.decodeImage, .bytes): form = .images
            case (.resize, .images): form = .images
            case (.normalize, .images): form = .tensors
            default: throw served.configuration.invalid("pre stage \(stage) is out of place")
            }
        }
        guard pipeline.pre.isEmpty || form == .tensors else {
            throw served.configuration.invalid("the pre stages do not end in a tensor: normalize")
        }
        if case .decodeImage? = pipeline.pre.first, served.inputs.count != 1 {
            throw served.configuration.invalid(
                "decode_image feeds one input, the model has \(served.inputs.count)")
        }
        for stage in pipeline.post {
            switch stage {
            case .softmax, .topK, .pool: continue
            default: throw served.configuration.invalid("post stage \(stage) is out of place")
            }
        }
    }

    /// What the outputs look like to clients once the post stages have run.
    private func outputs(
        _ specs: [TensorSpec], after post: [PipelineConfiguration.Stage]
    ) -> [TensorSpec] {
        var specs = specs
        guard var first = specs.first else { return specs }
        for stage in post {
            switch stage {
            case .pool where first.dimensions.count == 3:
                first = TensorSpec(
                    name: first.name, elementType: .float32,
                    dimensions: [first.dimensions[0], first.dimensions[2]])
            case .topK(let count, _):
                let width = first.dimensions.last ?? -1
                let rows = first.dimensions.count > 1 ? [first.dimensions[0]] : []
                first = TensorSpec(
                    name: first.name, elementType: .bytes,
                    dimensions: rows + [width > 0 ? min(count, width) : count])
            default: continue
            }
        }
        specs[0] = first
        return specs
    }

    /// An ensemble: no session of its own, its steps are models of the table.
    func serveEnsemble(
        version: ModelCandidate.Version, of candidate: ModelCandidate,
        configuration: ModelConfiguration
    ) throws -> ServedModel {
        let table = table.current
        if table.reaches(candidate.name, from: configuration.ensemble) {
            throw configuration.invalid("the ensemble is a step of itself")
        }
        let plan = try EnsemblePlan(configuration) { name, version in
            let found = try? table.find(name, version: version > 0 ? String(version) : nil)
            return found.map { ($0.inputs, $0.outputs) }
        }
        let number = String(version.number)
        let statistics = StatisticsRecorder(
            name: candidate.name, version: number, tracing: tracing)
        let batch = configuration.maxBatchSize > 0 ? [-1] : []
        let executor = EnsembleExecutor(
            version: number, plan: plan, configuration: configuration,
            labels: try labels(configuration, folder: candidate.folder), table: self.table,
            statistics: statistics, time: time)
        return ServedModel(
            name: candidate.name, version: number, configuration: configuration,
            inputs: configuration.inputs.map {
                TensorSpec(
                    name: $0.name, elementType: $0.elementType, dimensions: batch + $0.dimensions)
            },
            outputs: configuration.outputs.map {
                TensorSpec(
                    name: $0.name, elementType: $0.elementType, dimensions: batch + $0.dimensions)
            },
            statistics: statistics, executor: executor)
    }
}

extension ModelConfiguration {
    /// The engine that the configuration's parameter `engine` names.
    func engineChoice() throws(ServingError) -> EngineChoice? {
        guard let text = parameters["engine"] else { return nil }
        guard let choice = EngineChoice(rawValue: text) else {
            let known = EngineChoice.allCases.map(\.rawValue).joined(separator: ", ")
            throw invalid("parameter 'engine' is '\(text)'; known are \(known)")
        }
        return choice
    }
}

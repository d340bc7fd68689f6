// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletFormats
internal import MartletStorage
internal import MartletTensor

/// Finds the inputs that an automatic choice of precisions is measured with.
enum Calibration {
    private static let setsMax = 64

    /// Options that measure with what is given or lies beside the model, and tell the outcome.
    static func options(
        _ options: EngineOptions, given: String?, model: String
    ) -> EngineOptions {
        var options = options
        options.calibrate = { _, signature in
            try find(given: given, model: model, signature)
        }
        options.note = MeasureOptions.note
        return options
    }

    /// What lies beside a model's file.
    @Sendable static func beside(
        _ source: ModelSource, _ signature: ModelSignature
    ) throws -> PrecisionCalibration {
        guard case .onnxFile(let path) = source else { return PrecisionCalibration() }
        return try find(given: nil, model: path, signature)
    }

    /// - Parameters:
    ///   - given: what `--calibrate` names: a folder of `NAME.npy` or of `test_data_set_N`, one
    ///     `.npy` file for a model of one input, or nil for what lies beside the model.
    ///   - model: the path that the model was opened by.
    /// - Throws: `CommandFailure` for a given place that holds no inputs of the model.
    static func find(
        given: String?, model: String, _ signature: ModelSignature
    ) throws -> PrecisionCalibration {
        let folder = FileSystem.isDirectory(model) ? model : PathName.directory(model)
        let place = given ?? folder
        var sets: [[Tensor]] = []
        if FileSystem.isRegularFile(place), signature.inputs.count == 1 {
            sets = [[try NPYTensor.read(place)]]
        } else if FileSystem.isDirectory(place) {
            sets = try read(place, signature)
        }
        if sets.isEmpty, let given {
            let names = signature.inputs.map(\.name).joined(separator: ", ")
            throw CommandFailure("\(given) holds no inputs for \(names)")
        }
        return PrecisionCalibration(inputs: sets)
    }

    private static func read(_ folder: String, _ signature: ModelSignature) throws -> [[Tensor]] {
        let files = signature.inputs.map { PathName.join(folder, "\($0.name).npy") }
        if !files.isEmpty, files.allSatisfy({ FileSystem.isRegularFile($0) }) {
            return [try files.map { try NPYTensor.read($0) }]
        }
        return try ExampleData.sets(in: folder).prefix(setsMax).compactMap { set in
            let values = try ExampleData.values(
                "input", in: set, signature.inputs.map(\.container))
            let tensors = values.compactMap(\.tensor)
            return tensors.count == signature.inputs.count ? tensors : nil
        }
    }
}

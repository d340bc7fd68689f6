// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletImages
internal import MartletStorage
internal import MartletTensor
internal import MartletTokenizers

/// What flows between stages: one request's data in the form it has by then.
struct StageData: Sendable {
    var tensors: [NamedTensor]
    /// Between decoding and normalising; nil elsewhere.
    var images: [Image]?
    /// What the images, or the tensor made of them at their full size, take of the budget.
    var lease: PixelLease?
    /// Which tokens count, kept from tokenising for pooling.
    var mask: Tensor?
}

/// One stage, ready to run: settings checked, files read.
struct PreparedStage: Sendable {
    let run: @Sendable (StageData) throws(ServingError) -> StageData

    /// Reads what the stage needs from the model's folder.
    /// - Parameters:
    ///   - isTrusted: the operator's own setting, which may name files anywhere.
    ///   - inputNames: the model's own inputs, which pre stages must end in.
    /// - Throws: `ServingError` or `StorageError`.
    init(
        _ stage: PipelineConfiguration.Stage, folder: String, isTrusted: Bool,
        inputNames: [String]
    ) throws {
        func locate(_ path: String) throws(ServingError) -> String {
            guard PathName.staysInside(path) || isTrusted else {
                throw ServingError(
                    .invalidArgument, "stage file '\(path)' lies outside the model's folder")
            }
            return PathName.join(folder, path)
        }
        switch stage {
        case .tokenize(let path, let lengthMax):
            run = try TokenizeStage(
                path: try locate(path), lengthMax: lengthMax,
                inputNames: inputNames
            ).run
        case .decodeImage:
            let budget = PixelBudget(pixelsMax: ImageStages.pixelsHeldMax)
            run = { data throws(ServingError) in try ImageStages.decode(data, budget) }
        case .resize(let shorterSide, let crop):
            run = { data throws(ServingError) in
                try ImageStages.resize(data, shorterSide: shorterSide, crop: crop)
            }
        case .normalize(let mean, let deviation, let scale, let layout):
            let rule = ImageStages.Rule(
                mean: mean, deviation: deviation, scale: scale, layout: layout,
                inputName: inputNames.first ?? "input")
            run = { data throws(ServingError) in try ImageStages.normalize(data, rule) }
        case .softmax:
            run = OutputStages.softmax
        case .topK(let count, let labelsPath):
            let labels = try labelsPath.map { try LabelFile.read(try locate($0)) } ?? []
            run = { data throws(ServingError) in
                try OutputStages.topK(data, count: count, labels: labels)
            }
        case .pool(let pooling, let normalizes):
            run = { data throws(ServingError) in
                try OutputStages.pool(data, pooling, normalizes: normalizes)
            }
        }
    }
}

/// BYTES texts → the model's `input_ids`, `attention_mask` and `token_type_ids`, padded to the
/// longest text.
private struct TokenizeStage: Sendable {
    /// Tokens of one request, padding included.
    static let tokenCountMax = 1 << 22

    let tokenizer: Tokenizer
    let lengthMax: Int
    let inputNames: [String]

    init(path: String, lengthMax: Int, inputNames: [String]) throws {
        tokenizer = try Tokenizer(parsing: try FileSystem.readAll(path, limit: 256 << 20))
        self.lengthMax = lengthMax
        self.inputNames = inputNames
        let known: Set<String> = ["input_ids", "attention_mask", "token_type_ids"]
        if let other = inputNames.first(where: { !known.contains($0) }) {
            throw ServingError(
                .invalidArgument, "stage 'tokenize': the model's input '\(other)' is no text's")
        }
    }

    func run(_ data: StageData) throws(ServingError) -> StageData {
        guard let input = data.tensors.first, input.tensor.elementType == .bytes else {
            throw ServingError(.invalidArgument, "stage 'tokenize' expects one input of BYTES")
        }
        var encodings: [Encoding] = []
        for text in try BytesTensor.texts(input.tensor, name: input.name) {
            do {
                var truncation = tokenizer.truncation ?? Truncation(lengthMax: lengthMax)
                truncation.lengthMax = lengthMax
                encodings.append(try tokenizer.encode(text, truncation: truncation))
            } catch {
                throw ServingError(failure: error)
            }
        }
        let length = max(1, encodings.map(\.count).max() ?? 1)
        guard encodings.count <= TokenizeStage.tokenCountMax / length else {
            throw ServingError(
                .payloadTooLarge,
                "stage 'tokenize': \(encodings.count) texts padded to \(length) tokens, at most "
                    + "\(TokenizeStage.tokenCountMax) tokens together")
        }
        var result = StageData(tensors: [])
        for name in inputNames {
            let tensor = try tensor(encodings, length: length, name)
            result.tensors.append(NamedTensor(name: name, tensor: tensor))
            if name == "attention_mask" { result.mask = tensor }
        }
        return result
    }

    private func tensor(
        _ encodings: [Encoding], length: Int, _ name: String
    ) throws(ServingError) -> Tensor {
        let storage = TensorStorage(byteCount: encodings.count * length * 8)
        var offset = 0
        let target = unsafe storage.mutableBytes
        for encoding in encodings {
            for place in 0..<length {
                var value: Int64 = 0
                if place < encoding.count {
                    value =
                        switch name {
                        case "input_ids": Int64(encoding.ids[place])
                        case "attention_mask": 1
                        default: Int64(encoding.typeIDs[place])
                        }
                }
                unsafe target.storeBytes(of: value, toByteOffset: offset, as: Int64.self)
                offset += 8
            }
        }
        do {
            return try Tensor(
                elementType: .int64, shape: [encodings.count, length], storage: storage)
        } catch {
            throw ServingError(failure: error)
        }
    }
}

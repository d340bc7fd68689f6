// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension ONNXParser {
    mutating func model(_ message: ProtobufReader) throws(FormatError) -> ONNXModel {
        var reader = message
        var model = ONNXModel()
        var hasGraph = false
        while let field = try reader.next() {
            switch field {
            case 1: model.irVersion = try reader.int64()
            case 2: model.producerName = try reader.lossyString()
            case 3: model.producerVersion = try reader.lossyString()
            case 4: model.domain = try reader.lossyString()
            case 5: model.modelVersion = try reader.int64()
            case 6: model.documentation = try reader.lossyString()
            case 7:
                guard !hasGraph else { throw failure(.malformed, "two main graphs", at: reader) }
                hasGraph = true
                model.graph = try graph(reader.message())
            case 8: model.operatorSets.append(try operatorSet(reader.message()))
            case 14: model.metadata.append(try metadata(reader.message()))
            case 20:
                model.hasTrainingInfo = true
                try reader.skip()
            case 25: model.functions.append(try function(reader.message()))
            default: break
            }
        }
        guard hasGraph else { throw failure(.missing, "the model has no graph", at: reader) }
        try check(model, at: reader)
        return model
    }

    private func check(_ model: ONNXModel, at reader: ProtobufReader) throws(FormatError) {
        guard model.irVersion >= 1 else {
            throw failure(.missing, "the model states no IR version", at: reader)
        }
        guard model.irVersion <= ONNXModel.irVersionMax else {
            let message =
                "IR version \(model.irVersion) is newer than \(ONNXModel.irVersionMax), "
                + "the newest known"
            throw failure(.unsupported, message, at: reader)
        }
        var domains: Set<String> = []
        for set in model.operatorSets {
            guard domains.insert(set.domain).inserted else {
                throw failure(
                    .malformed, "operator set '\(set.domain)' is imported twice", at: reader)
            }
        }
        guard model.irVersion < 3 || !model.operatorSets.isEmpty else {
            throw failure(.missing, "the model imports no operator set", at: reader)
        }
        let version = model.operatorSetVersion() ?? 1
        guard version >= 1, version <= ONNXModel.operatorSetVersionMax else {
            let message =
                "operator set \(version) is not between 1 and \(ONNXModel.operatorSetVersionMax)"
            throw failure(.unsupported, message, at: reader)
        }
    }

    mutating func operatorSet(_ message: ProtobufReader) throws(FormatError) -> ONNXOperatorSet {
        var reader = message
        try count(reader)
        var set = ONNXOperatorSet(domain: "", version: 0)
        while let field = try reader.next() {
            switch field {
            case 1: set.domain = Self.canonical(domain: try reader.string())
            case 2: set.version = try reader.int64()
            default: break
            }
        }
        return set
    }

    mutating func metadata(_ message: ProtobufReader) throws(FormatError) -> ONNXMetadata {
        var reader = message
        try count(reader)
        var entry = ONNXMetadata(key: "", value: "")
        while let field = try reader.next() {
            switch field {
            case 1: entry.key = try reader.lossyString()
            case 2: entry.value = try reader.lossyString()
            default: break
            }
        }
        return entry
    }

    mutating func function(_ message: ProtobufReader) throws(FormatError) -> ONNXFunction {
        var reader = message
        try count(reader)
        var function = ONNXFunction()
        while let field = try reader.next() {
            switch field {
            case 1: function.name = try reader.string()
            case 4: try appendString(to: &function.inputs, &reader)
            case 5: try appendString(to: &function.outputs, &reader)
            case 6: try appendString(to: &function.attributeNames, &reader)
            case 7: function.nodes.append(try node(reader.message()))
            case 9: function.operatorSets.append(try operatorSet(reader.message()))
            case 10: function.domain = Self.canonical(domain: try reader.string())
            case 11: function.attributes.append(try attribute(reader.message()))
            case 12: function.valueInfo.append(try valueInfo(reader.message()))
            case 13: function.overload = try reader.string()
            default: break
            }
        }
        guard !function.name.isEmpty else {
            throw failure(.missing, "a function has no name", at: reader)
        }
        return function
    }
}

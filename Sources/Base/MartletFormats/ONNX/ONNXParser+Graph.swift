// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension ONNXParser {
    mutating func graph(_ message: ProtobufReader) throws(FormatError) -> ONNXGraph {
        var reader = message
        try count(reader)
        var graph = ONNXGraph()
        while let field = try reader.next() {
            switch field {
            case 1: graph.nodes.append(try node(reader.message()))
            case 2: graph.name = try reader.string()
            case 5: graph.initializers.append(try tensor(reader.message()))
            case 11: graph.inputs.append(try valueInfo(reader.message()))
            case 12: graph.outputs.append(try valueInfo(reader.message()))
            case 13: graph.valueInfo.append(try valueInfo(reader.message()))
            case 15: graph.sparseInitializers.append(try sparseTensor(reader.message()))
            case 16: graph.metadata.append(try metadata(reader.message()))
            default: break
            }
        }
        return graph
    }

    mutating func node(_ message: ProtobufReader) throws(FormatError) -> ONNXNode {
        var reader = message
        try count(reader)
        var node = ONNXNode(operatorType: "")
        while let field = try reader.next() {
            switch field {
            case 1: try appendString(to: &node.inputs, &reader)
            case 2: try appendString(to: &node.outputs, &reader)
            case 3: node.name = try reader.string()
            case 4: node.operatorType = try reader.string()
            case 5: node.attributes.append(try attribute(reader.message()))
            case 7: node.domain = Self.canonical(domain: try reader.string())
            case 8: node.overload = try reader.string()
            default: break
            }
        }
        guard !node.operatorType.isEmpty else {
            throw failure(.missing, "node '\(node.name)' names no operator", at: reader)
        }
        return node
    }

    mutating func valueInfo(_ message: ProtobufReader) throws(FormatError) -> ONNXValueInfo {
        var reader = message
        try count(reader)
        var info = ONNXValueInfo(name: "", type: nil)
        while let field = try reader.next() {
            switch field {
            case 1: info.name = try reader.string()
            case 2: info.type = try type(reader.message())
            default: break
            }
        }
        return info
    }
}

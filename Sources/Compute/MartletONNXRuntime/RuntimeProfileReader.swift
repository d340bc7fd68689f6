// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
package import MartletEngine
package import MartletJSON
internal import MartletStorage
internal import MartletTensor

/// Reads the trace that ONNX Runtime writes: a JSON array of events, of which those of category
/// "Node" are kernels' runs.
package enum RuntimeProfileReader {
    /// A longer trace is refused; a node's run takes about 500 bytes.
    private static let bytesMax = 1 << 30

    package static func read(path: String) throws -> EngineProfile {
        let file = try MappedFile(path: path)
        guard file.count <= bytesMax else {
            throw EngineError(
                .limitExceeded, "the profile takes \(file.count) bytes, at most \(bytesMax)")
        }
        do throws(JSONError) {
            return try unsafe read(file.bytes)
        } catch {
            throw EngineError(.internal, "read the profile '\(path)': \(error)", cause: error)
        }
    }

    package static func read(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> EngineProfile {
        var builder = EngineProfile.Builder()
        var scanner = unsafe JSONScanner(bytes)
        try scanner.beginArray()
        while try scanner.nextElement() {
            let event = try scanner.readValue()
            add(event, to: &builder)
        }
        try scanner.finish()
        return builder.build()
    }

    private static func add(_ event: JSONValue, to builder: inout EngineProfile.Builder) {
        // Of a node's three events only the kernel's has a duration of its own.
        guard event["cat"]?.stringValue == "Node", let name = event["name"]?.stringValue,
            name.hasSuffix("_kernel_time"), let duration = event["dur"]?.doubleValue,
            let arguments = event["args"], let operatorName = arguments["op_name"]?.stringValue
        else { return }
        let (inputs, inputBytes) = shapes(arguments["input_type_shape"])
        let (outputs, outputBytes) = shapes(arguments["output_type_shape"])
        var bytes = (inputBytes + outputBytes).reduce(0, +)
        if !OperatorWork.readsAll(operatorName, input: 0) {
            // What is picked from a table is read once.
            bytes += (outputBytes.first ?? 0) - (inputBytes.first ?? 0)
        }
        builder.add(
            name: String(name.dropLast("_kernel_time".count)), operatorName: operatorName,
            microseconds: duration,
            work: OperatorWork(
                operatorName, inputs: inputs, outputs: outputs, bytes: bytes))
    }

    /// `[{"float":[1,128]}, …]`: shapes, and the bytes of each.
    private static func shapes(_ list: JSONValue?) -> ([[Int]?], bytes: [Double]) {
        guard case .array(let items)? = list else { return ([], []) }
        var shapes: [[Int]?] = []
        var bytes: [Double] = []
        for item in items {
            guard case .object(let object) = item,
                let (type, value) = object.first(where: { _ in true }),
                case .array(let dimensions) = value
            else {
                shapes.append(nil)
                bytes.append(0)
                continue
            }
            let shape = dimensions.map { Int(exactly: ($0.doubleValue ?? 0).rounded()) ?? 0 }
            shapes.append(shape)
            bytes.append(shape.reduce(Double(byteCount(of: type))) { $0 * Double($1) })
        }
        return (shapes, bytes)
    }

    private static func byteCount(of type: String) -> Int {
        switch type {
        case "double", "int64", "uint64": 8
        case "float", "int32", "uint32": 4
        case "float16", "bfloat16", "int16", "uint16": 2
        default: 1
        }
    }
}

/// A folder for a profile, gone when it has been read.
enum ProfileFolder {
    static func make() throws(EngineError) -> String {
        let root = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array(PathName.join(root, "martlet-profile-XXXXXX").utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw EngineError(.internal, "a folder for the profile cannot be made in '\(root)'")
        }
        return String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func remove(_ folder: String) {
        for name in (try? FileSystem.list(folder)) ?? [] {
            _ = unsafe unlink(PathName.join(folder, name))
        }
        _ = unsafe rmdir(folder)
    }
}

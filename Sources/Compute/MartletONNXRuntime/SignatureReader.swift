// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletONNXRuntime
internal import MartletEngine
internal import MartletTensor

/// Asks a session for its inputs and outputs.
struct SignatureReader {
    let library: ONNXRuntimeLibrary
    let session: LibrarySession
    let path: String

    /// The most inputs or outputs that a model may have.
    private static let portsMax = 65_536

    func read() throws(EngineError) -> ModelSignature {
        ModelSignature(
            inputs: try ports(isOutput: false), outputs: try ports(isOutput: true))
    }

    private func ports(isOutput: Bool) throws(EngineError) -> [TensorSpec] {
        let kind: Int32 = isOutput ? 1 : 0
        var count = 0
        try unsafe library.call("read the signature of '\(path)'") {
            unsafe martlet_ort_port_count($0, session.address, kind, &count)
        }
        guard count <= SignatureReader.portsMax else {
            throw EngineError(.limitExceeded, "model '\(path)': \(count) inputs or outputs")
        }
        var specs: [TensorSpec] = []
        for index in 0..<count {
            var port = unsafe martlet_ort_port()
            try unsafe library.call("read the signature of '\(path)'") {
                unsafe martlet_ort_port_read($0, session.address, kind, index, &port)
            }
            defer { unsafe library.withTable { unsafe martlet_ort_port_release($0, &port) } }
            specs.append(try unsafe spec(&port))
        }
        return specs
    }

    private func spec(_ port: inout martlet_ort_port) throws(EngineError) -> TensorSpec {
        let name = unsafe port.name.map { unsafe String(cString: $0) } ?? ""
        guard unsafe port.kind == 1 else {
            throw EngineError(
                .unsupported,
                "model '\(path)': '\(name)' is no tensor, and ONNX Runtime is used "
                    + "for tensors only")
        }
        guard let elementType = unsafe ElementType(runtimeNumber: port.element_type) else {
            throw EngineError(
                .unsupported,
                "model '\(path)': '\(name)' has ONNX Runtime's element type "
                    + "\(unsafe port.element_type)")
        }
        let rank = Int(unsafe port.rank)
        guard rank <= Shape.rankMax else {
            throw EngineError(
                .unsupported,
                "model '\(path)': '\(name)' has \(rank) dimensions, at most \(Shape.rankMax) fit")
        }
        var dimensions: [Int] = []
        var names: [String?] = []
        unsafe withUnsafeBytes(of: &port.dimensions) { bytes in
            for axis in 0..<rank {
                let size = unsafe bytes.load(fromByteOffset: axis * 8, as: Int64.self)
                dimensions.append(size < 0 ? -1 : Int(size))
            }
        }
        unsafe withUnsafeBytes(of: &port.symbols) { bytes in
            for axis in 0..<rank {
                let symbol = unsafe bytes.load(
                    fromByteOffset: axis * MemoryLayout<UnsafePointer<CChar>?>.stride,
                    as: UnsafePointer<CChar>?.self)
                let text = unsafe symbol.map { unsafe String(cString: $0) } ?? ""
                names.append(text.isEmpty || dimensions[axis] >= 0 ? nil : text)
            }
        }
        return TensorSpec(
            name: name, elementType: elementType, dimensions: dimensions, dimensionNames: names)
    }
}

extension ElementType {
    /// The type with the library's number, which is ONNX's own but for the newest ones.
    init?(runtimeNumber number: Int32) {
        switch number {
        case 24: self = .uint2
        case 25: self = .int2
        case 1...23:
            guard let type = ElementType(rawValue: UInt8(number)) else { return nil }
            self = type
        default: return nil
        }
    }

    /// The library's number; nil for what it does not know.
    var runtimeNumber: Int32? {
        switch self {
        case .float8E8M0: nil
        case .uint2: 24
        case .int2: 25
        default: Int32(rawValue)
        }
    }
}

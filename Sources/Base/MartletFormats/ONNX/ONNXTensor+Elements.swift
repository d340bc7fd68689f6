// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

extension ONNXTensor {
    /// Bytes that the decoded elements take: `raw_data`'s layout; nil for strings.
    public var byteCount: Int? { dataType.byteCount(elements: elementCount) }

    /// The tensor's elements as little-endian bytes.
    ///
    /// Raw and external data come back in place, at whatever alignment the file has; `*_data`
    /// fields are decoded into new memory (64-byte aligned). Strings come back as the Open
    /// Inference Protocol lays them out: a 4-byte length before each.
    public func elements(in files: ONNXExternalFiles) throws(FormatError) -> ByteRegion {
        switch contents {
        case .raw(let region):
            return region
        case .none:
            return ByteRegion(copying: [])
        case .external(let data):
            return try files.region(of: data, byteCount: try decodedSize(), tensor: name)
        case .strings:
            return ByteRegion(copying: try stringBytes())
        case .typed:
            return unsafe try ByteRegion(byteCount: try decodedSize()) {
                (buffer) throws(FormatError) in
                unsafe try decode(into: buffer)
            }
        }
    }

    /// Writes raw or `*_data` elements, as little-endian bytes, to a buffer of `byteCount` bytes.
    public func decode(into buffer: UnsafeMutableRawBufferPointer) throws(FormatError) {
        let size = try decodedSize()
        guard buffer.count == size else {
            throw failure(
                .malformed, "it takes \(size) bytes, the buffer has \(buffer.count)")
        }
        switch contents {
        case .none: return
        case .raw(let region): unsafe buffer.copyMemory(from: region.bytes)
        case .typed(let field, let body):
            var decoder = unsafe ONNXTypedData(tensor: self, field: field, buffer: buffer)
            try decoder.decode(body)
        case .strings, .external:
            throw failure(.unsupported, "strings and external data are not decoded here")
        }
    }

    /// The elements of a string tensor.
    public func strings() throws(FormatError) -> [[UInt8]] {
        guard case .strings(let body) = contents else {
            if elementCount == 0 { return [] }
            throw failure(.malformed, "\(dataType) is not text")
        }
        var reader = unsafe ProtobufReader(body.bytes)
        var strings: [[UInt8]] = []
        while let field = try reader.next() {
            guard field == 6 else { continue }
            let bytes = unsafe try reader.bytes()
            unsafe strings.append([UInt8](bytes))
        }
        guard strings.count == elementCount else {
            throw failure(.malformed, "\(elementCount) strings expected, got \(strings.count)")
        }
        return strings
    }

    private func stringBytes() throws(FormatError) -> [UInt8] {
        var bytes: [UInt8] = []
        for string in try strings() {
            guard let count = UInt32(exactly: string.count) else {
                throw failure(.limitExceeded, "a string has \(string.count) bytes")
            }
            for shift in [0, 8, 16, 24] as [UInt32] {
                bytes.append(UInt8(truncatingIfNeeded: count >> shift))
            }
            bytes.append(contentsOf: string)
        }
        return bytes
    }

    private func decodedSize() throws(FormatError) -> Int {
        guard let byteCount else {
            throw failure(.malformed, "\(dataType) \(dimensions) has no byte size")
        }
        // An entry takes at least a byte of the file: a shape cannot ask for more memory than that.
        if case .typed(_, let body) = contents, byteCount / 8 > body.count {
            throw failure(
                .malformed,
                "\(dataType) \(dimensions) takes \(byteCount) bytes, the file has \(body.count)")
        }
        return byteCount
    }

    func failure(_ code: FormatError.Code, _ message: String) -> FormatError {
        FormatError(format: .onnx, code: code, message: "tensor '\(name)': \(message)")
    }
}

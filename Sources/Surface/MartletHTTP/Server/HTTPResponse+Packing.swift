// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor
internal import MartletWire

extension HTTPResponse {
    /// The response as a client with this `Accept-Encoding` prefers it.
    func packed(_ acceptEncoding: String?) -> HTTPResponse {
        guard isCompressible, let acceptEncoding else { return self }
        let coding = ContentCoding(acceptEncoding: acceptEncoding)
        guard coding != .identity, let packed = try? HTTPResponse.pack(body, coding) else {
            return self
        }
        var response = self
        response.isCompressible = false
        response.body = [.bytes(packed)]
        response.fields.append(Field("Content-Encoding", "\(coding.name)"))
        return response
    }

    private static func pack(
        _ parts: [BodyPart], _ coding: ContentCoding
    ) throws(WireError) -> [UInt8] {
        var packed: [UInt8] = []
        var deflater = try Deflater(coding)
        for part in parts {
            switch part {
            case .bytes(let bytes):
                try unsafe bytes.withUnsafeBufferPointer { (bytes) throws(WireError) in
                    try unsafe deflater.deflate(
                        UnsafeRawBufferPointer(bytes), isLast: false, appendingTo: &packed)
                }
            case .tensor(let tensor):
                try unsafe deflater.deflate(tensor.bytes, isLast: false, appendingTo: &packed)
            }
        }
        try unsafe deflater.deflate(
            UnsafeRawBufferPointer(start: nil, count: 0), isLast: true, appendingTo: &packed)
        return packed
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor
internal import MartletWire

extension HTTPResponse {
    /// Compresses the body, if it may be and the client prefers it so.
    mutating func pack(_ coding: ContentCoding) {
        guard isCompressible, coding != .identity, let packed = try? packed(coding) else { return }
        isCompressible = false
        bytes = packed
        parts = []
        fields.append(Field("Content-Encoding", "\(coding.name)"))
    }

    private func packed(_ coding: ContentCoding) throws(WireError) -> [UInt8] {
        var packed: [UInt8] = []
        var deflater = try Deflater(coding)
        for part in [.bytes(bytes)] + parts {
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

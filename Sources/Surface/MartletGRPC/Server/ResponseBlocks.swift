// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire

/// The header blocks that a server sends. The usual ones are encoded once: the client's table keeps
/// their fields, and from then on each is a few bytes that never change.
struct ResponseBlocks {
    private struct Kept {
        var block: [UInt8] = []
        var generation = -1
    }

    private var plainHead = Kept()
    private var okTrailers = Kept()

    mutating func head(for request: GRPCRequestHead, _ encoder: inout HPACKEncoder) -> [UInt8] {
        let isPlain = !request.acceptsOwnCoding && request.requestID == nil
        if isPlain, plainHead.generation == encoder.generation, !encoder.mustBegin {
            return plainHead.block
        }
        var block: [UInt8] = []
        let generation = encoder.generation
        let mayKeep = isPlain && !encoder.mustBegin
        ResponseBlocks.begin(&block, &encoder)
        encoder.append(
            "grpc-accept-encoding", MessageCoding.supported, .remembered, to: &block)
        if request.acceptsOwnCoding {
            encoder.append("grpc-encoding", request.coding.rawValue, .remembered, to: &block)
        }
        if let id = request.requestID { encoder.append("x-request-id", id, to: &block) }
        if mayKeep, encoder.generation == generation {
            plainHead = Kept(block: block, generation: generation)
        }
        return block
    }

    mutating func trailers(_ status: GRPCStatus, _ encoder: inout HPACKEncoder) -> [UInt8] {
        let isOK = status.code == .ok && status.message.isEmpty
        if isOK, okTrailers.generation == encoder.generation, !encoder.mustBegin {
            return okTrailers.block
        }
        var block: [UInt8] = []
        let generation = encoder.generation
        let mayKeep = isOK && !encoder.mustBegin
        encoder.begin(&block)
        if isOK {
            encoder.append("grpc-status", "0", .remembered, to: &block)
        } else {
            ResponseBlocks.append(status, &block, &encoder)
        }
        if mayKeep, encoder.generation == generation {
            okTrailers = Kept(block: block, generation: generation)
        }
        return block
    }

    func trailersOnly(
        _ status: GRPCStatus, requestID: String?, _ encoder: inout HPACKEncoder
    ) -> [UInt8] {
        var block: [UInt8] = []
        ResponseBlocks.begin(&block, &encoder)
        ResponseBlocks.append(status, &block, &encoder)
        if let requestID { encoder.append("x-request-id", requestID, to: &block) }
        return block
    }

    /// The answer to what is not gRPC at all, or not our gRPC.
    func refusal(_ refusal: GRPCRequestHead.Refusal, _ encoder: inout HPACKEncoder) -> [UInt8] {
        var block: [UInt8] = []
        switch refusal {
        case .http(let status):
            encoder.begin(&block)
            encoder.append(":status", status, to: &block)
        case .status(let status):
            ResponseBlocks.begin(&block, &encoder)
            ResponseBlocks.append(status, &block, &encoder)
            encoder.append("grpc-accept-encoding", MessageCoding.supported, to: &block)
        }
        return block
    }

    private static func begin(_ block: inout [UInt8], _ encoder: inout HPACKEncoder) {
        encoder.begin(&block)
        encoder.append(":status", "200", to: &block)
        encoder.append("content-type", "application/grpc", .remembered, to: &block)
    }

    private static func append(
        _ status: GRPCStatus, _ block: inout [UInt8], _ encoder: inout HPACKEncoder
    ) {
        encoder.append("grpc-status", String(status.code.rawValue), to: &block)
        encoder.append("grpc-message", status.encodedMessage, to: &block)
    }
}

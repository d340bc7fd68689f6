// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletWire
package import NIOCore

/// The protocol of one gRPC stream, as a value: it says what each frame means and what to write,
/// and does nothing itself.
package struct GRPCStreamMachine: Sendable {
    /// How many messages a method takes.
    package enum Kind: Sendable { case unary, streaming }

    /// What the frames received so far amount to.
    package enum Event: Equatable, Sendable {
        case needsMore
        case message(ByteBuffer)
        case endOfMessages
        case failure(GRPCStatus)
    }

    /// What to write for a response message.
    package enum Write: Equatable, Sendable { case headAndMessage, message, nothing }

    /// What to write for the end of the call.
    package enum Finish: Equatable, Sendable { case trailersOnly, trailers, nothing }

    private enum Inbound { case idle, open, ended, closed }
    private enum Outbound { case idle, open, closed }

    private var inbound = Inbound.idle
    private var outbound = Outbound.idle
    private var kind = Kind.unary
    private var assembler = MessageAssembler(bytesMax: 0, coding: .identity)
    private var unaryMessage: ByteBuffer?
    private let messageBytesMax: Int

    package init(messageBytesMax: Int) {
        self.messageBytesMax = messageBytesMax
    }

    // MARK: Received

    /// Whether the request's header block has come.
    package var hasHead: Bool { inbound != .idle }

    /// Whether the client may still send.
    package var isReceiving: Bool { inbound == .idle || inbound == .open }

    package var bufferedBytes: Int { assembler.bufferedBytes + (unaryMessage?.readableBytes ?? 0) }

    /// Takes the request's header block.
    package mutating func receive(head: GRPCRequestHead, kind: Kind, endStream: Bool) {
        self.kind = kind
        assembler = MessageAssembler(bytesMax: messageBytesMax, coding: head.coding)
        inbound = endStream ? .ended : .open
    }

    /// Takes the payload of a DATA frame; ignored once the call is over.
    package mutating func receive(data: ByteBuffer, endStream: Bool) {
        guard inbound == .open else { return }
        if data.readableBytes > 0 { assembler.append(data) }
        if endStream { inbound = .ended }
    }

    /// The client will send nothing more.
    package mutating func receiveEnd() {
        if inbound == .open { inbound = .ended }
    }

    /// The next event; to be asked until it needs more. After a failure or the end there is none.
    package mutating func next() -> Event {
        guard inbound == .open || inbound == .ended else { return .needsMore }
        do throws(GRPCStatus) {
            switch kind {
            case .streaming: return try nextStreaming()
            case .unary: return try nextUnary()
            }
        } catch {
            inbound = .closed
            return .failure(error)
        }
    }

    private mutating func nextStreaming() throws(GRPCStatus) -> Event {
        if let message = try assembler.next() { return .message(message) }
        guard inbound == .ended else { return .needsMore }
        guard !assembler.isMidMessage else {
            throw GRPCStatus(.internal, "the request ended inside a message")
        }
        inbound = .closed
        return .endOfMessages
    }

    private mutating func nextUnary() throws(GRPCStatus) -> Event {
        while let message = try assembler.next() {
            guard unaryMessage == nil else {
                throw GRPCStatus(.unimplemented, "the method takes one message, got several")
            }
            unaryMessage = message
        }
        guard inbound == .ended else { return .needsMore }
        guard !assembler.isMidMessage else {
            throw GRPCStatus(.internal, "the request ended inside its message")
        }
        guard let message = unaryMessage else {
            throw GRPCStatus(.unimplemented, "the method takes one message, got none")
        }
        inbound = .closed
        unaryMessage = nil
        return .message(message)
    }

    // MARK: Sent

    package var isFinished: Bool { outbound == .closed }

    /// What a response message needs around it.
    package mutating func respond() -> Write {
        switch outbound {
        case .idle:
            outbound = .open
            return .headAndMessage
        case .open: return .message
        case .closed: return .nothing
        }
    }

    /// What ends the call; nothing when it has ended.
    package mutating func finish() -> Finish {
        defer { outbound = .closed }
        switch outbound {
        case .idle: return .trailersOnly
        case .open: return .trailers
        case .closed: return .nothing
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire
internal import NIOCore

/// One request of an HTTP/2 connection: what a connection's end is to `ClientConnection`, which
/// carries it. Used again for another stream once it is over.
final class HTTP2ClientStream {
    let link: HTTP2ClientLink
    @safe @exclusivity(unchecked) private(set) var ref = HTTP2StreamRef(id: 0, slot: 0)
    @safe @exclusivity(unchecked) private(set) var isGRPC = false
    @safe @exclusivity(unchecked) private var carrier: ClientConnection?
    @safe @exclusivity(unchecked) private var outflow = HTTP2Outflow()
    /// The answer's head, to go before its first bytes.
    @safe @exclusivity(unchecked) private var head = WireBuffer()
    @safe @exclusivity(unchecked) private(set) var hasUnsentHead = false
    @safe @exclusivity(unchecked) private var status = 200
    @safe @exclusivity(unchecked) private var trailers: [UInt8] = []
    /// Bytes of the body that the carrier has and the window has not.
    @safe @exclusivity(unchecked) private var heldCredit = 0
    @safe @exclusivity(unchecked) private var isOver = true

    init(_ link: HTTP2ClientLink) {
        self.link = link
    }

    // MARK: The request

    func begin(_ ref: HTTP2StreamRef, _ text: [UInt8], endStream: Bool) {
        self.ref = ref
        outflow.reset()
        head.removeAll()
        hasUnsentHead = false
        trailers = []
        heldCredit = 0
        isOver = false
        isGRPC = false
        let carrier =
            carrier ?? ClientConnection(shared: link.shared, loop: link.loop, stream: self)
        self.carrier = carrier
        do throws(WireError) {
            try carrier.takeHead(text, isBodyless: endStream)
            isGRPC = carrier.hasGRPCBody
            carrier.beginRequest()
            if endStream { carrier.endBody() } else { carrier.awaitBody() }
        } catch {
            carrier.refuse(error)
        }
    }

    func take(body: UnsafeRawBufferPointer, endStream: Bool) {
        guard !isOver, let carrier else { return link.http.credit(ref, body.count) }
        if body.count > 0 {
            unsafe carrier.add(body: body)
            if carrier.isBodyHeld {
                heldCredit += body.count
            } else {
                link.http.credit(ref, body.count)
            }
        }
        if endStream, !isOver { carrier.endBody() }
    }

    /// The upstream has taken what there was of the body.
    func resumeBody() {
        guard heldCredit > 0, !isOver else { return }
        link.http.credit(ref, heldCredit)
        heldCredit = 0
        link.outputAdded()
    }

    /// Lets its carrier go: the two hold each other.
    func dissolve() { carrier = nil }

    func clientHasGone() {
        guard !isOver else { return }
        isOver = true
        carrier?.streamHasGone()
        link.forget(ref, self)
    }

    // MARK: The answer

    var waitingBytes: Int { outflow.waitingBytes }

    /// Takes the answer's head: `write` appends its lines.
    func takeHead(status: Int, _ write: (inout WireBuffer) -> Void) {
        head.removeAll()
        write(&head)
        self.status = status
        hasUnsentHead = true
    }

    func take(trailers lines: [UInt8]) { trailers = lines }

    func sendContinue() {
        head.removeAll()
        sendBlock(status: 100, endStream: false)
    }

    private func sendBlock(status: Int, endStream: Bool) {
        let text = status == 200 ? "200" : String(status)
        link.sendBlock(on: ref, endStream: endStream) { encoder, block in
            encoder.append(":status", text, to: &block)
            unsafe encoder.append(lines: head.bytes, to: &block)
        }
        head.removeAll()
    }

    func send(_ bytes: UnsafeRawBufferPointer) {
        guard !isOver else { return }
        sendHead(endStream: false)
        if bytes.count > 0 { unsafe outflow.append(bytes) }
        pump()
    }

    private func sendHead(endStream: Bool) {
        guard hasUnsentHead else { return }
        hasUnsentHead = false
        sendBlock(status: status, endStream: endStream)
    }

    /// Sends more, as far as windows and the socket allow.
    func pump() {
        guard !isOver else { return }
        let before = outflow.waitingBytes
        outflow.pump(ref, link)
        if before > 0 { carrier?.outputHasLeft() }
        if outflow.isOver { end() }
    }

    /// The answer is complete.
    func finish() {
        guard !isOver else { return }
        if hasUnsentHead, outflow.waitingBytes == 0, trailers.isEmpty {
            sendHead(endStream: true)
            return end()
        }
        sendHead(endStream: false)
        outflow.end = trailers.isEmpty ? .data : .trailers(trailers)
        pump()
    }

    /// Nothing more follows: everything has been handed to the machine.
    private func end() {
        guard !isOver else { return }
        isOver = true
        // The rest of a body that nobody reads.
        link.http.reset(ref, .noError)
        link.outputAdded()
        link.forget(ref, self)
    }

    /// The carrier gives its request up, wherever it stands.
    func abandon(_ carrier: ClientConnection) {
        guard !isOver else { return }
        carrier.streamHasGone()
        abort()
    }

    /// Breaks the stream off: what came so far is not the whole.
    func abort() {
        guard !isOver else { return }
        isOver = true
        link.http.reset(ref, .internalError)
        link.outputAdded()
        link.forget(ref, self)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import NIOCore

/// What a server serves: methods by their paths.
package protocol GRPCService: Sendable {
    /// The method at "/package.Service/Method"; nil when there is none.
    func method(at path: String) -> GRPCMethod?
}

/// One method: its name for spans, logs and metrics, and what answers it.
package final class GRPCMethod: Sendable {
    /// Takes messages of one stream, on the stream's event loop.
    package typealias Unary = @Sendable (GRPCCall, ByteBuffer) -> Void

    package enum Body: Sendable {
        case unary(Unary)
        case streaming(@Sendable (GRPCCall) -> any GRPCMessageSink)
    }

    /// "package.Service/Method".
    package let name: String
    package let body: Body
    let instruments: MethodInstruments

    package init(name: String, body: Body) {
        self.name = name
        self.body = body
        instruments = MethodInstruments(method: name)
    }

    var kind: GRPCStreamMachine.Kind {
        switch body {
        case .unary: .unary
        case .streaming: .streaming
        }
    }
}

/// The receiving half of a streaming method. Called on the stream's event loop only.
package protocol GRPCMessageSink: AnyObject {
    func receive(_ message: ByteBuffer)
    /// The client will send no more messages; the call goes on until it is finished.
    func receiveEnd()
    /// The transport takes messages again after it was full.
    func becameWritable()
    /// The server is stopping: end the call as soon as what is under way is answered.
    func stop()
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletProxy
internal import MartletWire
internal import NIOCore

/// The gateway's way to the models of its own process: through the HTTP door's routes, past its
/// socket.
struct LocalModels: LocalService {
    let door: LocalDoor

    func ask(
        _ head: HTTPRequestHead, _ body: [UInt8], on loop: any EventLoop,
        _ hear: @escaping (LocalServicePart) -> Void
    ) -> any LocalServiceCall {
        Call(
            door.ask(head, body, on: loop) { part in
                switch part {
                case .bytes(let bytes): hear(.bytes(bytes))
                case .end: hear(.end)
                case .cut: hear(.cut)
                }
            })
    }

    private final class Call: LocalServiceCall {
        private let call: LocalCall

        init(_ call: LocalCall) { self.call = call }

        func cancel() { call.cancel() }
        func hold(_ isHeld: Bool) { call.hold(isHeld) }
    }
}

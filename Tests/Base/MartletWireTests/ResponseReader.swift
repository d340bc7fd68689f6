// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire

/// Runs a response parser over bytes cut into pieces and keeps what it says.
struct ResponseReader {
    struct Response: Equatable {
        var status: Int
        var fields: [String]
        var body: [UInt8]
        var keepsAlive: Bool
        var interim: [Int]

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    private var parser: HTTPResponseParser
    private(set) var responses: [Response] = []
    private var methods: [HTTPMethod]
    private var pending: [UInt8] = []
    private var interim: [Int] = []
    private var current: Response?

    /// - Parameter methods: of the requests that are answered, in order.
    init(_ methods: [HTTPMethod], limits: HTTPLimits = HTTPLimits()) {
        parser = HTTPResponseParser(limits: limits)
        self.methods = methods.reversed()
        beginNext()
    }

    private mutating func beginNext() {
        if let method = methods.popLast() { parser.begin(answering: method) }
    }

    mutating func feed(_ bytes: some Sequence<UInt8>) throws(WireError) {
        pending.append(contentsOf: bytes)
        while true {
            let step = try unsafe pending.withUnsafeBufferPointer { (bytes) throws(WireError) in
                try unsafe parser.step(UnsafeRawBufferPointer(bytes))
            }
            switch step.event {
            case .needMore: break
            case .interim: interim.append(parser.head.status)
            case .head:
                var fields: [String] = []
                parser.head.fields.forEach { fields.append("\($0)=\($1)") }
                current = Response(
                    status: parser.head.status, fields: fields, body: [],
                    keepsAlive: parser.head.keepsAlive, interim: interim)
                interim = []
            case .body(let range): current?.body.append(contentsOf: pending[range])
            case .end: end()
            }
            pending.removeFirst(step.consumed)
            if step.event == .needMore { return }
        }
    }

    mutating func finish() throws(WireError) {
        if try parser.finish() { end() }
    }

    private mutating func end() {
        if let current { responses.append(current) }
        current = nil
        beginNext()
    }

    /// Reads bytes in pieces of a size, 0 for all at once, then the end of the stream if `closes`.
    static func read(
        _ bytes: [UInt8], answering methods: [HTTPMethod] = [.get], pieces: Int = 0,
        closes: Bool = false, limits: HTTPLimits = HTTPLimits()
    ) throws(WireError) -> [Response] {
        var reader = ResponseReader(methods, limits: limits)
        let size = pieces == 0 ? max(bytes.count, 1) : pieces
        for start in stride(from: 0, to: bytes.count, by: size) {
            try reader.feed(bytes[start..<min(start + size, bytes.count)])
        }
        if closes { try reader.finish() }
        return reader.responses
    }
}

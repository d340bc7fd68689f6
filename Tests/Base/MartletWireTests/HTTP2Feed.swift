// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletWire

/// A server's machine with what a client sends to it, and what it makes of that.
struct HTTP2Feed {
    var connection: HTTP2Connection
    var events: [HTTP2Connection.Event] = []
    /// How many fields each request had; -1 for a head that was the same as before.
    var heads: [Int] = []
    /// The payload bytes of all DATA.
    var data: [UInt8] = []
    var now = MonotonicInstant(nanoseconds: 0)
    var encoder = HPACKEncoder()
    private var rest: [UInt8] = []

    static let head = [
        (":method", "POST"), (":scheme", "http"), (":path", "/a/b"), (":authority", "x"),
    ]

    /// - Parameter begun: whether preface and SETTINGS are through.
    init(
        begun: Bool = true, _ change: (inout HTTP2Connection.Configuration) -> Void = { _ in }
    ) {
        var configuration = HTTP2Connection.Configuration()
        change(&configuration)
        connection = HTTP2Connection(configuration)
        guard begun else { return }
        try? feed(HTTP2Feed.opening)
        connection.clearOutput()
        events = []
    }

    static var opening: [UInt8] {
        var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        HTTP2FrameWriter.settings([], to: &bytes)
        return bytes
    }

    mutating func feed(_ bytes: [UInt8]) throws {
        rest += bytes
        while true {
            let step = try unsafe rest.withUnsafeBytes { buffer in
                let step = try unsafe connection.step(buffer, now: now)
                if case .data(_, let range, _) = step.event {
                    unsafe data.append(contentsOf: buffer[range])
                }
                return step
            }
            rest.removeFirst(step.consumed)
            if case .request(_, let head, _) = step.event {
                if case .new = head {
                    heads.append(connection.fields.count)
                } else {
                    heads.append(-1)
                }
            }
            switch step.event {
            case .needMore: return
            case .handled: break
            default: events.append(step.event)
            }
        }
    }

    // MARK: Frames

    func frame(_ type: UInt8, _ flags: UInt8 = 0, _ stream: UInt32, _ payload: [UInt8] = [])
        -> [UInt8]
    {
        let count = payload.count
        return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
            + [UInt8(stream >> 24), UInt8(stream >> 16 & 255)]
            + [UInt8(stream >> 8 & 255), UInt8(stream & 255)] + payload
    }

    mutating func block(_ fields: [(String, String)], _ indexing: HPACKEncoder.Indexing = .plain)
        -> [UInt8]
    {
        var block: [UInt8] = []
        encoder.begin(&block)
        for (name, value) in fields { encoder.append(name, value, indexing, to: &block) }
        return block
    }

    /// HEADERS of a request.
    mutating func request(
        _ stream: UInt32, _ more: [(String, String)] = [], end: Bool = false
    ) -> [UInt8] {
        frame(1, 4 | (end ? 1 : 0), stream, block(HTTP2Feed.head + more))
    }

    func data(_ stream: UInt32, _ payload: [UInt8], end: Bool = false) -> [UInt8] {
        frame(0, end ? 1 : 0, stream, payload)
    }

    // MARK: Output

    /// The frames in the output: type, flags, stream and payload.
    mutating func sent() -> [(type: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8])] {
        var frames: [(UInt8, UInt8, UInt32, [UInt8])] = []
        var bytes = connection.output[...]
        while let header = unsafe Array(bytes.prefix(9)).withUnsafeBytes({
            unsafe HTTP2FrameHeader($0)
        }) {
            frames.append(
                (
                    header.type, header.flags, header.stream,
                    Array(bytes.dropFirst(9).prefix(header.length))
                ))
            bytes = bytes.dropFirst(9 + header.length)
        }
        connection.clearOutput()
        return frames
    }

    /// The codes of the resets sent, by stream.
    mutating func resets() -> [UInt32: UInt8] {
        Dictionary(sent().filter { $0.type == 3 }.map { ($0.stream, $0.payload[3]) }) { _, last in
            last
        }
    }
}

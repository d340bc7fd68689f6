// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import Testing

@Suite("HTTP/2 flow control and drain")
struct HTTP2FlowControlTests {
    private let one = HTTP2StreamRef(id: 1, slot: 0)

    private func code(_ body: () throws -> Void) -> HTTP2ErrorCode? {
        do { try body() } catch { return (error as? HTTP2Error)?.code }
        return nil
    }

    @Test("more than a window is an error: of the stream, or of the connection")
    func overflow() throws {
        var feed = HTTP2Feed {
            $0.streamWindowBytes = 20_000
            $0.connectionWindowBytes = 65_535
        }
        let part = [UInt8](repeating: 1, count: 10_000)
        try feed.feed(feed.request(1))
        for _ in 0..<3 { try feed.feed(feed.data(1, part)) }
        #expect(feed.resets() == [1: 3])
        var other = HTTP2Feed { $0.connectionWindowBytes = 65_535 }
        try other.feed(other.request(1))
        // The connection's window opens as bytes come; only a burst in one frame could exceed it.
        for _ in 0..<20 { try other.feed(other.data(1, part)) }
        #expect(other.sent().contains { $0.type == 8 && $0.stream == 0 })
    }

    @Test("credit opens the window again, half of it at a time")
    func credit() throws {
        var feed = HTTP2Feed { $0.streamWindowBytes = 20_000 }
        try feed.feed(feed.request(1) + feed.data(1, [UInt8](repeating: 1, count: 12_000)))
        #expect(feed.sent().isEmpty)
        feed.connection.credit(one, 9_000)
        #expect(feed.sent().isEmpty)
        feed.connection.credit(one, 3_000)
        let update = feed.sent()
        #expect(update.map(\.type) == [8])
        #expect(update.first?.payload == [0, 0, 12_000 >> 8, 12_000 & 255])
        try feed.feed(feed.data(1, [UInt8](repeating: 1, count: 16_000), end: true))
        feed.connection.credit(one, 16_000)
        #expect(feed.sent().isEmpty)
    }

    @Test("sending keeps to both windows and to the frame size")
    func sending() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.request(1, end: true))
        #expect(feed.connection.capacity(one) == 16_384)
        let part = [UInt8](repeating: 1, count: 16_384)
        for _ in 0..<3 {
            unsafe part.withUnsafeBytes { unsafe feed.connection.sendData(one, $0) }
        }
        #expect(feed.connection.capacity(one) == 65_535 - 3 * 16_384)
        feed.connection.sendDataHeader(one, length: 65_535 - 3 * 16_384)
        #expect(feed.connection.capacity(one) == 0)
        try feed.feed(feed.frame(8, 0, 1, [0, 0, 0, 100]))
        #expect(feed.events.last == .windowOpened(one))
        #expect(feed.connection.capacity(one) == 0)
        try feed.feed(feed.frame(8, 0, 0, [0, 0, 0, 50]))
        #expect(feed.events.last == .windowOpened(nil))
        #expect(feed.connection.capacity(one) == 50)
    }

    @Test("a change of the initial window moves every stream's, below zero if need be")
    func initialWindow() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.request(1, end: true))
        feed.connection.sendDataHeader(one, length: 10_000)
        try feed.feed(feed.frame(4, 0, 0, [0, 4, 0, 0, 0, 100]))
        #expect(feed.connection.capacity(one) == 0)
        try feed.feed(feed.frame(8, 0, 1, [0, 0, 0x27, 0x10]))
        #expect(feed.connection.capacity(one) == 100)
        try feed.feed(feed.frame(8, 0, 1, [0, 0, 0, 1]))
        let most: [UInt8] = [0, 4, 0x7F, 0xFF, 0xFF, 0xFF]
        #expect(code { try feed.feed(feed.frame(4, 0, 0, most)) } == .flowControlError)
    }

    @Test("a larger frame size is used, and long header blocks are cut up")
    func frameSize() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.frame(4, 0, 0, [0, 5, 0, 0, 0x80, 0]))
        try feed.feed(feed.request(1, end: true))
        #expect(feed.connection.capacity(one) == 32_768)
        feed.connection.clearOutput()
        let block = [UInt8](repeating: 0x88, count: 70_000)
        feed.connection.sendHeaders(one, block, endStream: true)
        let frames = feed.sent()
        #expect(frames.map(\.type) == [1, 9, 9])
        #expect(frames.map(\.flags) == [1, 0, 4])
        #expect(frames.map(\.payload.count) == [32_768, 32_768, 4_464])
    }

    @Test("going away lets streams on their way in, then ignores later ones")
    func drain() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.request(1, end: true))
        feed.connection.beginDrain()
        try feed.feed(feed.request(3, end: true))
        #expect(feed.events.count == 2)
        feed.connection.finishDrain()
        try feed.feed(feed.request(5, end: true))
        #expect(feed.events.count == 2)
        let away = feed.sent().filter { $0.type == 7 }
        #expect(
            away.map { Array($0.payload.prefix(4)) } == [[0x7F, 255, 255, 255], [0, 0, 0, 3]])
        #expect(!feed.connection.hasDrained)
        feed.connection.sendHeaders(one, [0x88], endStream: true)
        feed.connection.sendHeaders(HTTP2StreamRef(id: 3, slot: 1), [0x88], endStream: true)
        #expect(feed.connection.hasDrained)
    }

    @Test("PING is answered, and its answer told")
    func ping() throws {
        var feed = HTTP2Feed()
        try feed.feed(feed.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
        let answer = feed.sent()
        #expect(answer.first?.flags == 1)
        #expect(answer.first?.payload == [1, 2, 3, 4, 5, 6, 7, 8])
        try feed.feed(feed.frame(6, 1, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
        #expect(feed.events == [.pingAcknowledged(0x0102_0304_0506_0708)])
    }
}

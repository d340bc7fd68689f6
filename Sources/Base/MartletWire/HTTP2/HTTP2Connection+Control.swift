// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

extension HTTP2Connection {
    mutating func takeControl(
        _ type: HTTP2FrameType?, _ header: HTTP2FrameHeader, _ source: WireBytes,
        _ range: Range<Int>, _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        try countControl(now)
        switch type {
        case .settings: return try takeSettings(header, source, range)
        case .ping: return try takePing(header, source, range)
        case .goAway:
            guard header.stream == 0 else {
                throw HTTP2Error(.protocolError, "GOAWAY on stream \(header.stream)")
            }
            guard range.count >= 8 else {
                throw HTTP2Error(.frameSizeError, "GOAWAY of \(range.count) bytes")
            }
            hasGoneAway = true
            return .goAway(lastStream: source.uint32(at: range.lowerBound) & 0x7FFF_FFFF)
        case .priority:
            guard header.stream != 0 else {
                throw HTTP2Error(.protocolError, "PRIORITY on stream 0")
            }
            guard range.count == 5 else {
                // A stream's error, but of one that may be idle: nothing depends on it.
                throw HTTP2Error(.frameSizeError, "PRIORITY of \(range.count) bytes")
            }
            return .handled
        case .pushPromise: throw HTTP2Error(.protocolError, "a push that nobody asked for")
        default: return .handled
        }
    }

    private mutating func takeSettings(
        _ header: HTTP2FrameHeader, _ source: WireBytes, _ range: Range<Int>
    ) throws(HTTP2Error) -> Event {
        guard header.stream == 0 else {
            throw HTTP2Error(.protocolError, "SETTINGS on stream \(header.stream)")
        }
        if header.has(HTTP2Flag.ack) {
            guard range.isEmpty else {
                throw HTTP2Error(.frameSizeError, "an acknowledgement of \(range.count) bytes")
            }
            guard hasSettings else {
                throw HTTP2Error(.protocolError, "the first frame acknowledges SETTINGS")
            }
            return .handled
        }
        guard range.count % 6 == 0 else {
            throw HTTP2Error(.frameSizeError, "SETTINGS of \(range.count) bytes")
        }
        hasSettings = true
        let old = peer
        try peer.apply(source, range)
        guard streams.changeSendWindows(by: peer.initialWindowSize - old.initialWindowSize)
        else { throw HTTP2Error(.flowControlError, "a stream's window overflows") }
        encoder.limitTable(peer.headerTableSize)
        HTTP2FrameWriter.settingsAck(to: &output)
        replyCount += 1
        return peer.initialWindowSize > old.initialWindowSize ? .windowOpened(nil) : .handled
    }

    private mutating func takePing(
        _ header: HTTP2FrameHeader, _ source: WireBytes, _ range: Range<Int>
    ) throws(HTTP2Error) -> Event {
        guard header.stream == 0 else {
            throw HTTP2Error(.protocolError, "PING on stream \(header.stream)")
        }
        guard range.count == 8 else {
            throw HTTP2Error(.frameSizeError, "PING of \(range.count) bytes")
        }
        let value =
            UInt64(source.uint32(at: range.lowerBound)) << 32
            | UInt64(source.uint32(at: range.lowerBound + 4))
        if header.has(HTTP2Flag.ack) { return .pingAcknowledged(value) }
        HTTP2FrameWriter.ping(value, isAck: true, to: &output)
        replyCount += 1
        return .handled
    }

    mutating func takeReset(
        _ header: HTTP2FrameHeader, _ source: WireBytes, _ range: Range<Int>,
        _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        guard range.count == 4 else {
            throw HTTP2Error(.frameSizeError, "RST_STREAM of \(range.count) bytes")
        }
        guard header.stream != 0, !isIdle(header.stream) else {
            throw HTTP2Error(.protocolError, "RST_STREAM on idle stream \(header.stream)")
        }
        guard let slot = streams.find(header.stream) else { return .handled }
        try countReset(now)
        streams.remove(slot)
        return .reset(
            HTTP2StreamRef(id: header.stream, slot: slot),
            code: source.uint32(at: range.lowerBound))
    }
}

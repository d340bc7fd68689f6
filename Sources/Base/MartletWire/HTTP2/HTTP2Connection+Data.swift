// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

extension HTTP2Connection {
    // MARK: DATA

    /// Takes a DATA frame's header, and of its payload what is there.
    mutating func beginData(
        _ header: HTTP2FrameHeader, _ source: WireBytes, _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Step {
        guard header.stream != 0 else { throw HTTP2Error(.protocolError, "DATA on stream 0") }
        guard !isIdle(header.stream) else {
            throw HTTP2Error(.protocolError, "DATA on idle stream \(header.stream)")
        }
        var start = HTTP2FrameHeader.byteCount
        var padding = 0
        if header.has(HTTP2Flag.padded) {
            guard header.length > 0 else {
                throw HTTP2Error(.frameSizeError, "a padded frame without a pad length")
            }
            guard source.count > start else { return Step(event: .needMore, consumed: 0) }
            padding = Int(source[start])
            guard padding < header.length else {
                throw HTTP2Error(.protocolError, "more padding than frame")
            }
            start += 1
        }
        receiveWindow -= header.length
        guard receiveWindow >= 0 else {
            throw HTTP2Error(.flowControlError, "more than the connection's window")
        }
        giveBack(header.length)
        let count = header.length - (start - HTTP2FrameHeader.byteCount) - padding
        let endStream = header.has(HTTP2Flag.endStream)
        if count == 0, !endStream { try countControl(now) }
        var next = Payload(stream: nil, left: count, padding: padding, endStream: endStream)
        var failure: Event?
        if let slot = streams.find(header.stream) {
            if let code = admit(slot, header.length, count, endStream) {
                failure = try failStream(header.stream, code, now)
            } else {
                next.stream = HTTP2StreamRef(id: header.stream, slot: slot)
                // Padding is read the moment it is here.
                credit(HTTP2StreamRef(id: header.stream, slot: slot), header.length - count)
            }
        } else if !resetByUs.contains(header.stream) {
            try countControl(now)
            HTTP2FrameWriter.reset(stream: header.stream, .streamClosed, to: &output)
            replyCount += 1
            resetByUs.add(header.stream)
        }
        payload = next
        if let failure { return Step(event: failure, consumed: start) }
        let rest = try takePayload(source, from: start)
        return rest
    }

    /// Checks a DATA frame against its stream; the code of what is wrong with it.
    private mutating func admit(
        _ slot: Int, _ length: Int, _ count: Int, _ endStream: Bool
    ) -> HTTP2ErrorCode? {
        if streams[slot].isRemoteClosed { return .streamClosed }
        if role == .client, !streams[slot].hasHead { return .protocolError }
        streams[slot].receiveWindow -= length
        if streams[slot].receiveWindow < 0 { return .flowControlError }
        guard let left = streams[slot].contentLeft else { return nil }
        streams[slot].contentLeft = left - count
        return count > left || endStream && count != left ? .protocolError : nil
    }

    mutating func takePayload(_ source: WireBytes) throws(HTTP2Error) -> Step {
        try takePayload(source, from: 0)
    }

    private mutating func takePayload(
        _ source: WireBytes, from start: Int
    ) throws(HTTP2Error) -> Step {
        guard var part = payload else { return Step(event: .handled, consumed: start) }
        let available = source.count - start
        let count = min(part.left, available)
        let padding = min(part.padding, available - count)
        let isFirstEmpty = part.left == 0 && part.stream != nil && part.endStream
        if count == 0, padding == 0, !isFirstEmpty, part.left + part.padding > 0 {
            return Step(event: start > 0 ? .handled : .needMore, consumed: start)
        }
        part.left -= count
        part.padding -= padding
        let isLast = part.left == 0
        let stream = part.stream.flatMap { streams.isOpen($0) ? $0 : nil }
        if isLast { part.stream = nil }
        payload = isLast && part.padding == 0 ? nil : part
        let consumed = start + count + padding
        guard let stream, count > 0 || isLast && part.endStream else {
            return Step(event: .handled, consumed: consumed)
        }
        let endStream = isLast && part.endStream
        if endStream { closeRemote(stream.slot) }
        return Step(
            event: .data(stream, start..<start + count, endStream: endStream),
            consumed: consumed)
    }

    /// The client sends nothing more on the stream.
    mutating func closeRemote(_ slot: Int) {
        streams[slot].isRemoteClosed = true
        if streams[slot].isLocalClosed { streams.remove(slot) }
    }

    // MARK: Receive windows

    /// Opens the connection's window again: what is held is bounded by the streams' windows.
    private mutating func giveBack(_ count: Int) {
        credit += count
        guard 2 * credit >= configuration.connectionWindowBytes else { return }
        HTTP2FrameWriter.windowUpdate(stream: 0, increment: credit, to: &output)
        receiveWindow += credit
        credit = 0
    }

    /// Gives bytes of a stream that are done with back to the client's window.
    package mutating func credit(_ stream: HTTP2StreamRef, _ count: Int) {
        guard count > 0, streams.isOpen(stream) else { return }
        streams[stream.slot].credit += count
        let credit = streams[stream.slot].credit
        guard 2 * credit >= configuration.streamWindowBytes,
            !streams[stream.slot].isRemoteClosed
        else { return }
        HTTP2FrameWriter.windowUpdate(stream: stream.id, increment: credit, to: &output)
        streams[stream.slot].receiveWindow += credit
        streams[stream.slot].credit = 0
    }

    // MARK: Send windows

    mutating func takeWindowUpdate(
        _ header: HTTP2FrameHeader, _ source: WireBytes, _ range: Range<Int>,
        _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        guard range.count == 4 else {
            throw HTTP2Error(.frameSizeError, "WINDOW_UPDATE of \(range.count) bytes")
        }
        let increment = Int(source.uint32(at: range.lowerBound) & 0x7FFF_FFFF)
        guard header.stream != 0 else {
            guard increment > 0 else {
                throw HTTP2Error(.protocolError, "WINDOW_UPDATE by 0")
            }
            sendWindow += increment
            guard sendWindow <= HTTP2Settings.windowMax else {
                throw HTTP2Error(.flowControlError, "the connection's window overflows")
            }
            return .windowOpened(nil)
        }
        guard !isIdle(header.stream) else {
            throw HTTP2Error(.protocolError, "WINDOW_UPDATE on idle stream \(header.stream)")
        }
        // Late ones of a stream that is over are common and cost nothing.
        guard let slot = streams.find(header.stream) else { return .handled }
        guard increment > 0 else { return try failStream(header.stream, .protocolError, now) }
        streams[slot].sendWindow += increment
        guard streams[slot].sendWindow <= HTTP2Settings.windowMax else {
            return try failStream(header.stream, .flowControlError, now)
        }
        return .windowOpened(HTTP2StreamRef(id: header.stream, slot: slot))
    }
}

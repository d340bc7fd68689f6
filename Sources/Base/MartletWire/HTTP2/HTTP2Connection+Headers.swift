// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

extension HTTP2Connection {
    mutating func takeHeaders(
        _ header: HTTP2FrameHeader, _ source: WireBytes, _ range: Range<Int>,
        _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        guard header.stream & 1 == 1 else {
            throw HTTP2Error(.protocolError, "HEADERS on stream \(header.stream)")
        }
        var (start, end) = (range.lowerBound, range.upperBound)
        if header.has(HTTP2Flag.padded) {
            guard start < end else {
                throw HTTP2Error(.frameSizeError, "a padded frame without a pad length")
            }
            end -= Int(source[start])
            start += 1
        }
        // The priority scheme of RFC 7540 is deprecated: its five bytes are skipped.
        if header.has(HTTP2Flag.priority) { start += 5 }
        guard start <= end else {
            throw HTTP2Error(.protocolError, "more padding or priority than frame")
        }
        let endStream = header.has(HTTP2Flag.endStream)
        if header.has(HTTP2Flag.endHeaders) {
            return try takeBlock(header.stream, source, start..<end, endStream, now)
        }
        openBlock = OpenBlock(
            stream: header.stream, endStream: endStream, bytes: source.array(start..<end))
        return .handled
    }

    mutating func takeContinuation(
        _ header: HTTP2FrameHeader, _ source: WireBytes, _ range: Range<Int>,
        _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        guard var block = openBlock else {
            throw HTTP2Error(.protocolError, "CONTINUATION without HEADERS")
        }
        openBlock = nil
        block.frames += 1
        guard block.frames <= configuration.continuationsPerBlock,
            block.bytes.count + range.count <= 2 * configuration.headerListBytesMax
        else { throw HTTP2Error(.enhanceYourCalm, "a header block is too long") }
        source.append(range, to: &block.bytes)
        guard header.has(HTTP2Flag.endHeaders) else {
            openBlock = block
            return .handled
        }
        let outcome = unsafe block.bytes.withUnsafeBytes { bytes -> Result<Event, HTTP2Error> in
            do throws(HTTP2Error) {
                return .success(
                    try takeBlock(
                        block.stream, unsafe WireBytes(bytes), 0..<bytes.count, block.endStream,
                        now))
            } catch { return .failure(error) }
        }
        return try outcome.get()
    }

    /// Takes a whole header block. It is decoded whatever becomes of it: the table must follow.
    private mutating func takeBlock(
        _ id: UInt32, _ source: WireBytes, _ range: Range<Int>, _ endStream: Bool,
        _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        if role == .client { return try takeAnswer(id, source, range, endStream, now) }
        let isNew = id > lastStream
        if isNew, let known = cache.find(source, range, generation: decoder.generation) {
            return try begin(id, .repeated(known.place), known.request, endStream, now)
        }
        let generation = decoder.generation
        let isWhole = try decoder.decode(
            source, range, into: &fields, configuration.headerListBytesMax)
        guard isNew else { return try takeTrailers(id, endStream, isWhole, now) }
        guard isWhole else {
            lastStream = id
            return drain == .final ? .handled : try failStream(id, .enhanceYourCalm, now)
        }
        guard let request = HTTP2HeaderRules.request(fields) else {
            lastStream = id
            return drain == .final ? .handled : try failStream(id, .protocolError, now)
        }
        var place: Int?
        if decoder.generation == generation, range.count <= HeaderBlockCache.blockBytesMax {
            place = cache.keep(source.array(range), generation: generation, request)
        }
        return try begin(id, .new(cached: place), request, endStream, now)
    }

    private mutating func begin(
        _ id: UInt32, _ head: Head, _ request: HTTP2HeaderRules.Request, _ endStream: Bool,
        _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        lastStream = id
        // After the last GOAWAY the client knows that such a stream is not processed.
        if drain == .final { return .handled }
        guard streams.count < configuration.maxConcurrentStreams else {
            return try failStream(id, .refusedStream, now)
        }
        if endStream, let length = request.contentLength, length > 0 {
            return try failStream(id, .protocolError, now)
        }
        let slot = streams.insert(
            HTTP2Stream(
                id: id, sendWindow: peer.initialWindowSize,
                receiveWindow: configuration.streamWindowBytes,
                contentLeft: request.contentLength, isRemoteClosed: endStream))
        return .request(HTTP2StreamRef(id: id, slot: slot), head: head, endStream: endStream)
    }

    private mutating func takeTrailers(
        _ id: UInt32, _ endStream: Bool, _ isWhole: Bool, _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        guard let slot = streams.find(id) else {
            guard resetByUs.contains(id) else {
                throw HTTP2Error(.streamClosed, "HEADERS on closed stream \(id)")
            }
            try countControl(now)
            return .handled
        }
        guard !streams[slot].isRemoteClosed else {
            return try failStream(id, .streamClosed, now)
        }
        let isComplete = (streams[slot].contentLeft ?? 0) == 0
        guard endStream, isWhole, isComplete, HTTP2HeaderRules.areTrailers(fields) else {
            return try failStream(id, .protocolError, now)
        }
        closeRemote(slot)
        return .data(HTTP2StreamRef(id: id, slot: slot), 0..<0, endStream: true)
    }
}

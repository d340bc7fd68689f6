// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// The client's side: opens streams and takes their answers.
extension HTTP2Connection {
    /// What a client allows a server: control frames are cheap for us, and gRPC servers measure
    /// their bandwidth with PINGs.
    package static var clientConfiguration: Configuration {
        var configuration = Configuration()
        configuration.maxConcurrentStreams = 100
        configuration.headerListBytesMax = 64 << 10
        configuration.streamWindowBytes = 256 << 10
        configuration.controlFramesPerSecond = 20_000
        configuration.resetsPerTenSeconds = 100_000
        return configuration
    }

    mutating func beginAsClient() {
        hasPreface = true
        let preface = HTTP2FrameWriter.preface
        unsafe output.append(
            contentsOf: UnsafeBufferPointer(
                start: preface.utf8Start, count: preface.utf8CodeUnitCount))
    }

    /// Whether another stream may be begun.
    package var canOpen: Bool {
        role == .client && !hasGoneAway && drain == .none
            && lastStream < UInt32(HTTP2Settings.windowMax) - 2
            && streams.count < configuration.maxConcurrentStreams
            && streams.count < Int(peer.maxConcurrentStreams)
    }

    /// Sends a request's head, made by `encoder`; nil when no stream may be begun.
    /// - Parameter isBodiless: the answer has no body, whatever it says (HEAD).
    package mutating func open(
        _ block: [UInt8], endStream: Bool, isBodiless: Bool = false
    ) -> HTTP2StreamRef? {
        guard canOpen else { return nil }
        lastStream = lastStream == 0 ? 1 : lastStream + 2
        let slot = streams.insert(
            HTTP2Stream(
                id: lastStream, sendWindow: peer.initialWindowSize,
                receiveWindow: configuration.streamWindowBytes, isRemoteClosed: false,
                isBodiless: isBodiless))
        let stream = HTTP2StreamRef(id: lastStream, slot: slot)
        sendHeaders(stream, block, endStream: endStream)
        return stream
    }

    /// Takes a whole header block of an answer: its head or its trailers.
    mutating func takeAnswer(
        _ id: UInt32, _ source: WireBytes, _ range: Range<Int>, _ endStream: Bool,
        _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        guard id <= lastStream else {
            throw HTTP2Error(.protocolError, "HEADERS on idle stream \(id)")
        }
        // Decoded whatever becomes of it: the table must follow.
        let isWhole = try decoder.decode(
            source, range, into: &fields, configuration.headerListBytesMax)
        guard let slot = streams.find(id) else {
            // Of a stream that was given up here.
            try countControl(now)
            return .handled
        }
        guard !streams[slot].isRemoteClosed else {
            return try failStream(id, .streamClosed, now)
        }
        guard isWhole else { return try failStream(id, .enhanceYourCalm, now) }
        let stream = HTTP2StreamRef(id: id, slot: slot)
        guard !streams[slot].hasHead else {
            guard endStream, streams[slot].contentLeft ?? 0 == 0,
                HTTP2HeaderRules.areTrailers(fields)
            else { return try failStream(id, .protocolError, now) }
            closeRemote(slot)
            return .trailers(stream)
        }
        guard let response = HTTP2HeaderRules.response(fields) else {
            return try failStream(id, .protocolError, now)
        }
        guard response.status >= 200 else {
            guard !endStream, response.status != 101 else {
                return try failStream(id, .protocolError, now)
            }
            try countControl(now)
            return .handled
        }
        streams[slot].hasHead = true
        let hasBody = !streams[slot].isBodiless && response.status != 304
        streams[slot].contentLeft = hasBody ? response.contentLength : nil
        if endStream {
            guard streams[slot].contentLeft ?? 0 == 0 else {
                return try failStream(id, .protocolError, now)
            }
            closeRemote(slot)
        }
        return .response(stream, endStream: endStream)
    }
}

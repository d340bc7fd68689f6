// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// One side of an HTTP/2 connection (RFC 9113) as a value: strict, bounded, no I/O, no clock. What
/// only a client does is in `HTTP2Connection+Client`.
///
/// Call `step` with all bytes received and not yet consumed, drop what it consumed, and go on
/// until it says `needMore`. What is to be sent gathers in `output`, also by `step`. An error ends
/// the connection: call `fail`, send the output, close.
///
/// Cost: DATA is never copied; a header block equal to one of the last few is not decoded again.
package struct HTTP2Connection: Sendable {
    package struct Configuration: Sendable {
        package var maxConcurrentStreams = 256
        package var headerListBytesMax = 16 << 10
        /// Flow-control windows: what the client may send ahead of being read.
        package var streamWindowBytes = 1 << 20
        package var connectionWindowBytes = 4 << 20
        /// PING, SETTINGS, PRIORITY, empty DATA, unknown frames, frames of closed streams.
        package var controlFramesPerSecond = 1_000
        /// Streams reset or refused (CVE-2023-44487).
        package var resetsPerTenSeconds = 1_000
        package var continuationsPerBlock = 32

        package init() {}
    }

    package enum Event: Equatable, Sendable {
        /// Nothing to be said until more bytes are there.
        case needMore
        /// A frame was taken that concerns nobody else.
        case handled
        /// A request began; see `head` for how to read its fields.
        case request(HTTP2StreamRef, head: Head, endStream: Bool)
        /// These bytes, as given to `step`, are the request's next. To be given back by `credit`.
        case data(HTTP2StreamRef, Range<Int>, endStream: Bool)
        /// The stream is gone: by the client, or for an error of its own.
        case reset(HTTP2StreamRef, code: UInt32)
        /// The client takes more on this stream, or (nil) on all.
        case windowOpened(HTTP2StreamRef?)
        case pingAcknowledged(UInt64)
        /// The peer takes no streams above this one, and begins none.
        case goAway(lastStream: UInt32)
        /// An answer began; its fields are in `fields`.
        case response(HTTP2StreamRef, endStream: Bool)
        /// An answer ended with these `fields`.
        case trailers(HTTP2StreamRef)
    }

    /// Where a request's fields are.
    package enum Head: Equatable, Sendable {
        /// In `fields`; the same fields may come again, by this number.
        case new(cached: Int?)
        /// The same as the last time that `new` came with this number; `fields` has others.
        case repeated(Int)
    }

    package struct Step: Equatable, Sendable {
        package var event: Event
        /// How many bytes of the front are done with.
        package var consumed: Int
    }

    /// The part of a DATA frame that has not come yet.
    struct Payload: Sendable {
        /// nil when the bytes are to be dropped.
        var stream: HTTP2StreamRef?
        var left: Int
        var padding: Int
        var endStream: Bool
    }

    /// A header block that goes on in CONTINUATION frames.
    struct OpenBlock: Sendable {
        var stream: UInt32
        var endStream: Bool
        var bytes: [UInt8]
        var frames = 0
    }

    package enum Role: Sendable { case server, client }

    package let configuration: Configuration
    package let role: Role
    /// Frames to be sent, in order. The shell takes them and calls `clearOutput`.
    package internal(set) var output: [UInt8] = []
    /// The fields of the last request event with a new head.
    package internal(set) var fields = HTTP2Fields()
    package var encoder = HPACKEncoder()
    /// Frames in `output` that only answer the client's, since the last `clearOutput`.
    package internal(set) var replyCount = 0

    var streams = HTTP2StreamTable()
    var peer = HTTP2Settings()
    var decoder = HPACKDecoder()
    var cache = HeaderBlockCache()
    var hasPreface = false
    var hasSettings = false
    var payload: Payload?
    var openBlock: OpenBlock?
    var lastStream: UInt32 = 0
    /// Streams that we reset: the client may not know yet.
    var resetByUs = RecentStreams()
    var sendWindow = 65_535
    var receiveWindow: Int
    var credit = 0
    var drain = Drain.none
    var controlBound: RateBound
    var resetBound: RateBound

    /// The server takes no more streams.
    var hasGoneAway = false

    enum Drain: Sendable { case none, announced, final }

    package init(_ configuration: Configuration = Configuration(), role: Role = .server) {
        self.configuration = configuration
        self.role = role
        controlBound = RateBound(
            countMax: configuration.controlFramesPerSecond, window: .seconds(1))
        resetBound = RateBound(
            countMax: configuration.resetsPerTenSeconds, window: .seconds(10))
        receiveWindow = configuration.connectionWindowBytes
        if role == .client { beginAsClient() }
        HTTP2FrameWriter.settings(
            [
                role == .client
                    ? (.enablePush, 0)
                    : (.maxConcurrentStreams, UInt32(clamping: configuration.maxConcurrentStreams)),
                (.maxHeaderListSize, UInt32(clamping: configuration.headerListBytesMax)),
                (.initialWindowSize, UInt32(clamping: configuration.streamWindowBytes)),
            ], to: &output)
        if configuration.connectionWindowBytes > 65_535 {
            HTTP2FrameWriter.windowUpdate(
                stream: 0, increment: configuration.connectionWindowBytes - 65_535, to: &output)
        }
    }

    /// Whether the client has spoken HTTP/2.
    package var hasBegun: Bool { hasSettings }
    package var streamCount: Int { streams.count }
    /// How many numbers `Head` uses.
    package static let cachedHeadCount = HeaderBlockCache.countMax

    /// The longest frame that we take.
    static let frameBytesMax = 16_384

    // MARK: Received

    package mutating func step(
        _ bytes: UnsafeRawBufferPointer, now: MonotonicInstant
    ) throws(HTTP2Error) -> Step {
        let source = unsafe WireBytes(bytes)
        guard hasPreface else { return try takePreface(source) }
        if payload != nil { return try takePayload(source) }
        guard source.count >= HTTP2FrameHeader.byteCount else {
            return Step(event: .needMore, consumed: 0)
        }
        let header = HTTP2FrameHeader(source, at: 0)
        guard header.length <= HTTP2Connection.frameBytesMax else {
            throw HTTP2Error(.frameSizeError, "a frame of \(header.length) bytes")
        }
        let type = HTTP2FrameType(rawValue: header.type)
        if let openBlock {
            guard type == .continuation, header.stream == openBlock.stream else {
                throw HTTP2Error(.protocolError, "a header block is broken off")
            }
        }
        guard hasSettings || type == .settings else {
            throw HTTP2Error(.protocolError, "the first frame is not SETTINGS")
        }
        if type == .data { return try beginData(header, source, now) }
        let end = HTTP2FrameHeader.byteCount + header.length
        guard source.count >= end else { return Step(event: .needMore, consumed: 0) }
        let range = HTTP2FrameHeader.byteCount..<end
        let event =
            switch type {
            case .headers: try takeHeaders(header, source, range, now)
            case .continuation: try takeContinuation(header, source, range, now)
            case .windowUpdate: try takeWindowUpdate(header, source, range, now)
            case .rstStream: try takeReset(header, source, range, now)
            default: try takeControl(type, header, source, range, now)
            }
        return Step(event: event, consumed: end)
    }

    private mutating func takePreface(_ source: WireBytes) throws(HTTP2Error) -> Step {
        let preface = HTTP2FrameWriter.preface
        let count = preface.utf8CodeUnitCount
        for offset in 0..<min(count, source.count)
        where unsafe source[offset] != preface.utf8Start[offset] {
            throw HTTP2Error(.protocolError, "the client does not speak HTTP/2")
        }
        guard source.count >= count else { return Step(event: .needMore, consumed: 0) }
        hasPreface = true
        return Step(event: .handled, consumed: count)
    }

    /// Counts a frame that costs the client little and does nothing for it.
    mutating func countControl(_ now: MonotonicInstant) throws(HTTP2Error) {
        guard controlBound.admit(now) else {
            throw HTTP2Error(.enhanceYourCalm, "too many control frames")
        }
    }

    mutating func countReset(_ now: MonotonicInstant) throws(HTTP2Error) {
        guard resetBound.admit(now) else {
            throw HTTP2Error(.enhanceYourCalm, "too many streams reset")
        }
    }

    /// Ends a stream for an error of its own.
    mutating func failStream(
        _ id: UInt32, _ code: HTTP2ErrorCode, _ now: MonotonicInstant
    ) throws(HTTP2Error) -> Event {
        try countReset(now)
        HTTP2FrameWriter.reset(stream: id, code, to: &output)
        replyCount += 1
        resetByUs.add(id)
        guard let slot = streams.find(id) else { return .handled }
        streams.remove(slot)
        return .reset(HTTP2StreamRef(id: id, slot: slot), code: code.rawValue)
    }

    /// Whether a stream id was in use at some time.
    func isIdle(_ id: UInt32) -> Bool { id & 1 == 0 || id > lastStream }
}

/// The ids of the last streams that ended in some way.
struct RecentStreams: Sendable {
    private static let countMax = 256
    private var ids: [UInt32] = []
    private var next = 0

    mutating func add(_ id: UInt32) {
        if ids.count < RecentStreams.countMax {
            ids.append(id)
        } else {
            ids[next] = id
            next = (next + 1) % RecentStreams.countMax
        }
    }

    func contains(_ id: UInt32) -> Bool { ids.contains(id) }
}

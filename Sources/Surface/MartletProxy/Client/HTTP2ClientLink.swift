// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire
internal import NIOCore

/// A client's HTTP/2 connection: each of its streams is a request of its own, carried by the same
/// code that carries HTTP/1.1's.
final class HTTP2ClientLink: HTTP2Link {
    let shared: ProxyShared
    let loop: ProxyLoop
    private(set) var address: [UInt8] = []
    let isEncrypted: Bool
    /// By the slots of the machine's table.
    @safe @exclusivity(unchecked) private var streams: [HTTP2ClientStream?] = []
    @safe @exclusivity(unchecked) private var free: [HTTP2ClientStream] = []
    /// Streams that are over: not used again before whoever ended them is done.
    @safe @exclusivity(unchecked) private var retired: [HTTP2ClientStream] = []
    /// Request heads that may come again, by the machine's numbers.
    @safe @exclusivity(unchecked) private var knownHeads: [[UInt8]]
    private var timer: Scheduled<Void>?
    private var lastRead: MonotonicInstant
    private let began: MonotonicInstant

    private static let freeMax = 64
    private static let drainPing: UInt64 = 0x6D61_7274_6C65_7403

    private static func configuration(_ listen: Int) -> HTTP2Connection.Configuration {
        var configuration = HTTP2Connection.Configuration()
        configuration.maxConcurrentStreams = 256
        configuration.headerListBytesMax = 32 << 10
        configuration.streamWindowBytes = min(256 << 10, max(listen, 64 << 10))
        configuration.connectionWindowBytes = 1 << 20
        return configuration
    }

    init(shared: ProxyShared, loop: ProxyLoop) {
        self.shared = shared
        self.loop = loop
        isEncrypted = shared.listen.certificate != nil
        knownHeads = Array(repeating: [], count: HTTP2Connection.cachedHeadCount)
        began = shared.time.now()
        lastRead = began
        super.init(
            HTTP2ClientLink.configuration(shared.listen.keptBytesMax), role: .server,
            isEncrypted: isEncrypted)
    }

    override func begin(_ context: ChannelHandlerContext) {
        address = Array((context.channel.remoteAddress?.ipAddress ?? "unknown").utf8)
        super.begin(context)
        guard timer == nil else { return }
        loop.add(self)
        schedule()
    }

    override func linkHasEnded() {
        timer?.cancel()
        timer = nil
        loop.remove(self)
        let all = streams
        streams = []
        for stream in all { stream?.clientHasGone() }
        takeRetired()
        for stream in free { stream.dissolve() }
        free = []
        shared.release()
    }

    // MARK: Streams

    override func take(_ event: HTTP2Connection.Event) {
        lastRead = now
        switch event {
        case .request(let ref, let head, let endStream): begin(ref, head, endStream)
        case .reset(let ref, _): stream(ref)?.clientHasGone()
        case .windowOpened(let ref?): stream(ref)?.pump()
        case .windowOpened(nil): pumpAll()
        case .pingAcknowledged(HTTP2ClientLink.drainPing): finishDrain()
        default: break
        }
    }

    override func take(
        data: UnsafeRawBufferPointer, of ref: HTTP2StreamRef, endStream: Bool
    ) {
        guard let stream = stream(ref) else { return http.credit(ref, data.count) }
        unsafe stream.take(body: data, endStream: endStream)
    }

    override func socketHasRoom() { pumpAll() }

    private func pumpAll() {
        for stream in streams { stream?.pump() }
    }

    private func stream(_ ref: HTTP2StreamRef) -> HTTP2ClientStream? {
        guard ref.slot < streams.count, let stream = streams[ref.slot], stream.ref == ref else {
            return nil
        }
        return stream
    }

    private func begin(
        _ ref: HTTP2StreamRef, _ place: HTTP2Connection.Head, _ endStream: Bool
    ) {
        var text: [UInt8] = []
        switch place {
        case .repeated(let number): text = knownHeads[number]
        case .new(let number):
            // How a head is framed depends on what follows it: one text for either.
            HTTP2Text.appendRequest(http.fields, hasBody: true, to: &text)
            if let number { knownHeads[number] = text }
        }
        let stream = free.popLast() ?? HTTP2ClientStream(self)
        while streams.count <= ref.slot { streams.append(nil) }
        streams[ref.slot] = stream
        stream.begin(ref, text, endStream: endStream)
    }

    /// Forgets a stream that is over.
    func forget(_ ref: HTTP2StreamRef, _ stream: HTTP2ClientStream) {
        if ref.slot < streams.count, streams[ref.slot] === stream { streams[ref.slot] = nil }
        retired.append(stream)
        closeIfDrained()
    }

    override func burstHasEnded() { takeRetired() }

    /// Makes streams that are over ready for other requests; those that are too many go.
    private func takeRetired() {
        while let stream = retired.popLast() {
            if free.count < HTTP2ClientLink.freeMax, !isClosed {
                free.append(stream)
            } else {
                stream.dissolve()
            }
        }
    }

    // MARK: Time

    private func schedule() {
        timer = loop.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in
            self?.look()
        }
    }

    private func look() {
        guard !isClosed else { return }
        let now = shared.time.now()
        if !http.hasBegun, began.nanoseconds(to: now) > shared.waits.header { return close() }
        takeRetired()
        if http.isDraining { finishDrain() }
        guard !isClosed else { return }
        if http.streamCount == 0, lastRead.nanoseconds(to: now) > shared.waits.idle { drain() }
        schedule()
    }

    /// Tells the client to begin no more streams, and closes when the last is over.
    func drain() {
        guard !isClosed, !http.isDraining else { return }
        http.beginDrain()
        http.ping(HTTP2ClientLink.drainPing)
        flush()
    }

    private func finishDrain() {
        guard http.isDraining else { return }
        http.finishDrain()
        outputAdded()
        closeIfDrained()
    }

    private func closeIfDrained() {
        if !isClosed, http.load().hasDrained { closeAfterSending() }
    }
}

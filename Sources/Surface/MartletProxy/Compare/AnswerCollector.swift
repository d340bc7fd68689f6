// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletWire

/// Collects one answer to be compared: event streams are put together as they come, everything
/// else is kept up to a bound.
struct AnswerCollector {
    static let bytesMax = 512 << 10

    private(set) var status = 0
    private(set) var isTooLong = false
    /// Compressed answers are not read.
    private(set) var isCoded = false
    private var body: [UInt8] = []
    private var stream: StreamAssembler?
    private var headerLength: Int?
    private var firstByte: MonotonicInstant?

    mutating func begin(_ head: HTTPResponseHead) {
        status = head.status
        body.removeAll(keepingCapacity: true)
        isTooLong = false
        isCoded = head.fields.isCoded
        firstByte = nil
        headerLength = head.fields.range(of: "inference-header-content-length")
            .flatMap { head.fields.decimal($0) }
        let type = head.fields.range(of: "content-type").map(head.fields.string) ?? ""
        stream = type.lowercased().hasPrefix("text/event-stream") ? StreamAssembler() : nil
    }

    mutating func add(_ bytes: UnsafeRawBufferPointer, at now: @autoclosure () -> MonotonicInstant)
    {
        if firstByte == nil { firstByte = now() }
        if stream != nil {
            unsafe stream?.read(bytes)
            isTooLong = stream?.isTooLong ?? false
        } else if body.count + bytes.count <= AnswerCollector.bytesMax {
            unsafe body.append(contentsOf: bytes)
        } else {
            isTooLong = true
        }
        if isTooLong {
            body = []
            stream = nil
        }
    }

    /// Nil when it was too long to be kept, or compressed.
    func answer(from began: MonotonicInstant, to end: MonotonicInstant) -> ComparedAnswer? {
        guard !isTooLong, !isCoded else { return nil }
        return ComparedAnswer(
            status: status, body: body, latency: began.duration(to: end),
            firstByte: firstByte.map { began.duration(to: $0) }, headerLength: headerLength,
            document: stream?.document)
    }
}

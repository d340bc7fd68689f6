// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes a chunked body apart (RFC 9112 §7.1): sizes in plain hexadecimal, CRLF everywhere,
/// extensions and trailers checked, bounded and dropped.
struct ChunkedDecoder: Sendable {
    enum Event: Equatable {
        case needMore
        case body(Range<Int>)
        case end
    }

    private enum State { case size, data(Int), dataEnd, trailers }

    private var state = State.size
    private var scanned = 0
    private var trailerBytes = 0
    private var trailerCount = 0
    private(set) var bodyBytes = 0

    /// Reads on; `consumed` bytes of the front are done with afterwards.
    mutating func step(
        _ bytes: WireBytes, consumed: inout Int, limits: HTTPLimits
    ) throws(WireError) -> Event {
        while true {
            switch state {
            case .size:
                guard let size = try readSize(bytes, &consumed, limits) else { return .needMore }
                let (total, overflow) = bodyBytes.addingReportingOverflow(size)
                guard !overflow, total <= limits.bodyBytesMax else {
                    throw WireError(
                        .limitExceeded, status: 413,
                        "a body of more than \(limits.bodyBytesMax) bytes")
                }
                bodyBytes = total
                state = size == 0 ? .trailers : .data(size)
            case .data(let remaining):
                let available = min(remaining, bytes.count - consumed)
                guard available > 0 else { return .needMore }
                let range = consumed..<consumed + available
                consumed += available
                state = available == remaining ? .dataEnd : .data(remaining - available)
                return .body(range)
            case .dataEnd:
                guard bytes.count - consumed >= 1 else { return .needMore }
                guard bytes[consumed] == 0x0D else { throw badEnd() }
                guard bytes.count - consumed >= 2 else { return .needMore }
                guard bytes[consumed + 1] == 0x0A else { throw badEnd() }
                consumed += 2
                scanned = 0
                state = .size
            case .trailers:
                guard try readTrailers(bytes, &consumed, limits) else { return .needMore }
                return .end
            }
        }
    }

    private func badEnd() -> WireError {
        WireError(.malformed, "a chunk does not end where its size says")
    }

    /// The next line, or nil; `scanned` is kept relative to `consumed`.
    private mutating func line(
        _ bytes: WireBytes, _ consumed: inout Int, _ limit: Int, _ what: String
    ) throws(WireError) -> Range<Int>? {
        var searched = consumed + scanned
        let found = try nextLine(bytes, from: consumed, scanned: &searched)
        let length = (found?.next ?? bytes.count) - consumed
        guard length <= limit else {
            throw WireError(.limitExceeded, "\(what) of more than \(limit) bytes")
        }
        guard let found else {
            scanned = searched - consumed
            return nil
        }
        scanned = 0
        consumed = found.next
        return found.line
    }

    private mutating func readSize(
        _ bytes: WireBytes, _ consumed: inout Int, _ limits: HTTPLimits
    ) throws(WireError) -> Int? {
        guard let line = try line(bytes, &consumed, limits.chunkLineBytesMax, "a chunk size line")
        else { return nil }
        var size = 0
        var place = line.lowerBound
        while place < line.upperBound, let digit = hexadecimalDigit(bytes[place]) {
            guard size <= Int.max >> 8 else {
                throw WireError(.malformed, "a chunk size that overflows")
            }
            size = size << 4 | Int(digit)
            place += 1
        }
        guard place > line.lowerBound, place - line.lowerBound <= 16 else {
            throw WireError(.malformed, "a chunk size that is no hexadecimal number")
        }
        guard place == line.upperBound || bytes[place] == UInt8(ascii: ";") else {
            throw WireError(.malformed, "a chunk size that is no hexadecimal number")
        }
        for index in place..<line.upperBound where !ByteClass.isFieldValue(bytes[index]) {
            throw WireError(.malformed, "a chunk extension has a control character")
        }
        return size
    }

    private mutating func readTrailers(
        _ bytes: WireBytes, _ consumed: inout Int, _ limits: HTTPLimits
    ) throws(WireError) -> Bool {
        while true {
            let before = consumed
            guard
                let line = try line(
                    bytes, &consumed, limits.trailerBytesMax - trailerBytes, "trailers")
            else { return false }
            if line.isEmpty { return true }
            trailerBytes += consumed - before
            trailerCount += 1
            guard trailerCount <= limits.headerCountMax else {
                throw WireError(.limitExceeded, status: 431, "too many trailers")
            }
            let field = try parseFieldLine(bytes, line)
            let name = String(decoding: bytes.array(field.name), as: UTF8.self).lowercased()
            guard !ChunkedDecoder.forbiddenTrailers.contains(name) else {
                throw WireError(.malformed, "'\(name)' must not be a trailer")
            }
        }
    }

    /// Fields that frame, route or authorise a message come too late in a trailer (RFC 9110
    /// §6.5.1).
    private static let forbiddenTrailers: Set<String> = [
        "content-length", "transfer-encoding", "host", "content-encoding", "content-type",
        "content-range", "trailer", "authorization", "connection", "expect", "te", "upgrade",
        "cookie", "set-cookie", "inference-header-content-length",
    ]
}

func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}

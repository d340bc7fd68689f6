// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire

/// Runs a request parser over text cut into pieces and keeps what it says.
struct RequestReader {
    struct Request {
        var head: HTTPRequestHead
        var body: [UInt8]
        var repeatsHead = false
    }

    var parser: HTTPRequestParser
    var requests: [Request] = []
    private var pending: [UInt8] = []
    private var current: Request?

    var isBetweenRequests: Bool { pending.isEmpty && parser.isBetweenRequests }

    init(limits: HTTPLimits = HTTPLimits()) {
        parser = HTTPRequestParser(limits: limits)
    }

    mutating func feed(_ bytes: some Sequence<UInt8>) throws(WireError) {
        pending.append(contentsOf: bytes)
        while true {
            let step = try unsafe pending.withUnsafeBufferPointer { (bytes) throws(WireError) in
                try unsafe parser.step(UnsafeRawBufferPointer(bytes))
            }
            switch step.event {
            case .needMore:
                pending.removeFirst(step.consumed)
                return
            case .head:
                current = Request(
                    head: parser.head, body: [], repeatsHead: parser.repeatsHead)
            case .body(let range): current?.body.append(contentsOf: pending[range])
            case .end:
                if let current { requests.append(current) }
                current = nil
            }
            pending.removeFirst(step.consumed)
        }
    }

    /// Reads text in pieces of a size; 0 feeds all of it at once.
    static func read(
        _ text: String, pieces: Int = 0, limits: HTTPLimits = HTTPLimits()
    ) throws(WireError) -> [Request] {
        var reader = RequestReader(limits: limits)
        let bytes = Array(text.utf8)
        if pieces == 0 {
            try reader.feed(bytes)
        } else {
            for start in stride(from: 0, to: bytes.count, by: pieces) {
                try reader.feed(bytes[start..<min(start + pieces, bytes.count)])
            }
        }
        return reader.requests
    }
}

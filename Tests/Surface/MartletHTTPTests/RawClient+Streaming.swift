// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

enum TwinClock {
    static func pause(milliseconds: Int) { usleep(UInt32(milliseconds * 1000)) }
}

extension RawClient {
    /// The chunks of a body, up to the last.
    func chunkedBody() throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try line()
            guard let size = Int(line, radix: 16) else { throw Failure(message: "chunk '\(line)'") }
            body += try bytes(size)
            guard try self.line().isEmpty else { throw Failure(message: "no end of a chunk") }
            if size == 0 { return body }
        }
    }

    private func line() throws -> String {
        while true {
            if let end = received.firstIndex(of: 0x0A) {
                let line = received[..<end].filter { $0 != 0x0D }
                received.removeFirst(end + 1)
                return String(decoding: line, as: UTF8.self)
            }
            guard try receive() else { throw Failure(message: "closed inside a line") }
        }
    }

    private func bytes(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            guard try receive() else { throw Failure(message: "closed inside a chunk") }
        }
        defer { received.removeFirst(count) }
        return Array(received.prefix(count))
    }
}

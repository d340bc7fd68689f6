// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// A blocking client over one loopback connection, which sends whatever bytes a test wants.
final class RawClient {
    struct Failure: Error {
        var message: String
    }

    struct Response {
        var status: Int
        /// Names in lower case.
        var fields: [String: String]
        var body: [UInt8]
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    private let descriptor: Int32
    var received: [UInt8] = []

    /// - Parameter receiveBytes: what the system may keep of what is not read; nil: as it likes.
    init(port: Int, receiveBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var receiveBytes {
            unsafe setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBytes,
                socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure(message: "connect: \(errno)") }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(
                    descriptor, $0.baseAddress.map { unsafe $0 + sent }, bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(message: "send: \(errno)") }
            sent += count
        }
    }

    func endInput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Whether the server has closed the connection; waits for it.
    func isClosed() -> Bool {
        (try? receive()) == false
    }

    /// Appends what comes next; false at the end of the stream.
    func receive() throws -> Bool {
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe piece.withUnsafeMutableBytes {
            unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
        }
        if count < 0, errno == ECONNRESET { return false }
        guard count >= 0 else { throw Failure(message: "recv: \(errno)") }
        received.append(contentsOf: piece[..<count])
        return count > 0
    }

    /// The next response. `hasBody` is false for answers to HEAD.
    func response(hasBody: Bool = true) throws -> Response {
        let separator = Array("\r\n\r\n".utf8)
        var headEnd: Int?
        while headEnd == nil {
            headEnd = received.indices.first {
                received[$0...].starts(with: separator)
            }
            if headEnd == nil, try !receive() { throw Failure(message: "closed before a response") }
        }
        let end = headEnd ?? 0
        let lines = String(decoding: received[..<end], as: UTF8.self).split(separator: "\r\n")
        received.removeFirst(end + 4)
        let status = Int(lines.first?.split(separator: " ").dropFirst().first ?? "") ?? 0
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].dropFirst()) : ""
        }
        let length = hasBody ? Int(fields["content-length"] ?? "0") ?? 0 : 0
        while received.count < length {
            guard try receive() else { throw Failure(message: "closed inside a body") }
        }
        let body = Array(received.prefix(length))
        received.removeFirst(length)
        return Response(status: status, fields: fields, body: body)
    }

    func get(_ path: String, headers: String = "") throws -> Response {
        try send("GET \(path) HTTP/1.1\r\nHost: test\r\n\(headers)\r\n")
        return try response()
    }

    func post(_ path: String, _ body: [UInt8], headers: String = "") throws -> Response {
        try send(
            Array(
                "POST \(path) HTTP/1.1\r\nHost: test\r\nContent-Length: \(body.count)\r\n\(headers)\r\n"
                    .utf8) + body)
        return try response()
    }

    func post(_ path: String, _ text: String, headers: String = "") throws -> Response {
        try post(path, Array(text.utf8), headers: headers)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletJSON

/// A blocking HTTP client for one server on this machine: a connection per request, answers of a
/// stated length, nothing more than the demonstration needs.
struct LoopbackClient {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    struct Answer {
        let status: Int
        let headers: [String: String]
        let body: [UInt8]
    }

    private static let answerBytesMax = 256 << 20
    private let port: UInt16

    init(port: Int) throws {
        guard let port = UInt16(exactly: port), port > 0 else {
            throw Failure(description: "\(port) is not a port")
        }
        self.port = port
    }

    /// Sends a request and waits for the answer.
    /// - Throws: `Failure` when the server cannot be reached or answers anything but 200.
    func post(_ path: String, headers: [String: String], body: [UInt8]) throws -> Answer {
        var head = "POST \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += "Content-Length: \(body.count)\r\n"
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            head += "\(name): \(value)\r\n"
        }
        let answer = try exchange(Array((head + "\r\n").utf8) + body)
        guard answer.status == 200 else {
            let text = String(decoding: answer.body.prefix(500), as: UTF8.self)
            throw Failure(description: "POST \(path) answered \(answer.status): \(text)")
        }
        return answer
    }

    private func exchange(_ request: [UInt8]) throws -> Answer {
        let descriptor = try connected()
        defer { close(descriptor) }
        var sent = 0
        while sent < request.count {
            let count = unsafe request.withUnsafeBytes {
                unsafe send(
                    descriptor, $0.baseAddress.map { unsafe $0 + sent }, request.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "the server hung up") }
            sent += count
        }
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while received.count < LoopbackClient.answerBytesMax {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
            }
            if count <= 0 { break }
            received.append(contentsOf: buffer[..<count])
        }
        return try LoopbackClient.parse(received)
    }

    private func connected() throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "no socket to be had") }
        var timeout = timeval(tv_sec: 60, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            throw Failure(description: "nothing answers on 127.0.0.1:\(port)")
        }
        return descriptor
    }

    private static func parse(_ bytes: [UInt8]) throws -> Answer {
        let separator = Array("\r\n\r\n".utf8)
        guard let end = bytes.firstRange(of: separator) else {
            throw Failure(description: "the server's answer is not HTTP")
        }
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        let lines = head.split(separator: "\r\n")
        let parts = lines.first?.split(separator: " ") ?? []
        guard parts.count > 1, let status = Int(parts[1]) else {
            throw Failure(description: "the server's answer has no status")
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1)
            guard pair.count == 2 else { continue }
            headers[pair[0].lowercased()] = String(pair[1].drop { $0 == " " })
        }
        let body = Array(bytes[end.upperBound...])
        guard headers["content-length"].flatMap({ Int($0) }) == body.count else {
            throw Failure(description: "the server's answer was cut short")
        }
        return Answer(status: status, headers: headers, body: body)
    }
}

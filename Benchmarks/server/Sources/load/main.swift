// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Sends the same bytes over several keep-alive connections, one request at a time on each.
// Usage: load PORT PID REQUEST_FILE CONNECTIONS REQUESTS [echo] [paced|flat]
// With "echo" an answer has as many bytes as the request; otherwise it is HTTP with a
// Content-Length. "paced", the default, sends on all connections and then waits for all answers; it
// prints what a request cost the server in processor microseconds. "flat" sends the next request of
// a connection as soon as the last one is answered, and prints requests a second and the 50th and
// 99th percentile of the time to an answer in microseconds.

import Glibc

struct Failure: Error {
    var message: String
}

/// Nanoseconds that all threads of a process have run.
func runNanoseconds(of process: String) -> Int {
    guard let folder = unsafe opendir("/proc/\(process)/task") else { return 0 }
    defer { unsafe closedir(folder) }
    var total = 0
    while let entry = unsafe readdir(folder) {
        let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) {
            unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        guard name.first?.isNumber == true,
            let file = unsafe fopen("/proc/\(process)/task/\(name)/schedstat", "r")
        else { continue }
        var line = [UInt8](repeating: 0, count: 128)
        let count = unsafe fread(&line, 1, line.count, file)
        unsafe fclose(file)
        let text = String(decoding: line[..<count], as: UTF8.self)
        total += text.split(separator: " ").first.flatMap { Int($0) } ?? 0
    }
    return total
}

func contents(of path: String) -> [UInt8] {
    guard let file = unsafe fopen(path, "r") else { return [] }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe fread(&piece, 1, piece.count, file)
        if count == 0 { return bytes }
        bytes += piece[..<count]
    }
}

func connected(to port: Int) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
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
    var on: Int32 = 1
    unsafe setsockopt(
        descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    return descriptor
}

func sendAll(_ bytes: [UInt8], to descriptor: Int32) throws {
    var sent = 0
    while sent < bytes.count {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe send(
                descriptor, $0.baseAddress.map { unsafe $0 + sent }, bytes.count - sent, 0)
        }
        guard count > 0 else { throw Failure(message: "send: \(errno)") }
        sent += count
    }
}

/// The length of the first answer, found by reading it whole; later ones are as long.
func answerLength(_ bytes: [UInt8]) -> Int? {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let head = text.firstRange(of: "\r\n\r\n") else { return nil }
    for line in text[..<head.lowerBound].split(separator: "\r\n") {
        let parts = line.split(separator: ":", maxSplits: 1)
        if parts.count == 2, parts[0].lowercased() == "content-length" {
            let body = Int(parts[1].filter(\.isNumber)) ?? 0
            return text[..<head.upperBound].utf8.count + body
        }
    }
    return nil
}

func monotonicNanoseconds() -> Int {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return Int(now.tv_sec) * 1_000_000_000 + Int(now.tv_nsec)
}

struct Load {
    let request: [UInt8]
    let sockets: [Int32]
    var length = 0
    var piece = [UInt8](repeating: 0, count: 1 << 18)

    mutating func receive(_ descriptor: Int32) throws -> Int {
        let count = unsafe recv(descriptor, &piece, piece.count, 0)
        guard count > 0 else { throw Failure(message: "recv: \(errno)") }
        return count
    }

    /// Asks once and learns how long an answer is.
    mutating func learnLength() throws {
        try sendAll(request, to: sockets[0])
        var first: [UInt8] = []
        var known: Int?
        repeat {
            let count = try receive(sockets[0])
            first += piece[..<count]
            known = known ?? answerLength(first)
        } while first.count < known ?? .max
        guard first.starts(with: "HTTP/1.1 200".utf8), let known else {
            throw Failure(message: String(decoding: first.prefix(400), as: UTF8.self))
        }
        length = known
    }

    mutating func round() throws {
        for descriptor in sockets { try sendAll(request, to: descriptor) }
        for descriptor in sockets {
            var left = length
            while left > 0 { left -= try receive(descriptor) }
        }
    }

    /// Keeps every connection busy; returns nanoseconds to each answer, and in all.
    mutating func runFlat(requests: Int) throws -> (times: [Int], elapsed: Int) {
        var watched = sockets.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var times: [Int] = []
        times.reserveCapacity(requests)
        var left = [Int](repeating: length, count: sockets.count)
        var sent = [Int](repeating: monotonicNanoseconds(), count: sockets.count)
        let start = monotonicNanoseconds()
        for descriptor in sockets { try sendAll(request, to: descriptor) }
        while times.count < requests {
            guard unsafe poll(&watched, nfds_t(watched.count), -1) > 0 else { continue }
            for index in watched.indices where watched[index].revents != 0 {
                left[index] -= try receive(sockets[index])
                guard left[index] <= 0 else { continue }
                let now = monotonicNanoseconds()
                times.append(now - sent[index])
                left[index] = length
                sent[index] = now
                try sendAll(request, to: sockets[index])
            }
        }
        return (times, monotonicNanoseconds() - start)
    }
}

func main(_ arguments: [String]) throws {
    guard arguments.count >= 6, let port = Int(arguments[1]), let connections = Int(arguments[4]),
        let requests = Int(arguments[5])
    else {
        throw Failure(
            message: "usage: load PORT PID REQUEST_FILE CONNECTIONS REQUESTS [echo] [paced|flat]")
    }
    let request = contents(of: arguments[3])
    let options = arguments[6...]
    var load = Load(
        request: request, sockets: try (0..<connections).map { _ in try connected(to: port) },
        length: request.count)
    if !options.contains("echo") { try load.learnLength() }
    for _ in 0..<max(1, requests / connections / 10) { try load.round() }
    if options.contains("flat") {
        var (times, elapsed) = try load.runFlat(requests: requests)
        times.sort()
        let rate = Double(times.count) * 1e9 / Double(elapsed)
        let (half, most) = (times[times.count / 2], times[times.count * 99 / 100])
        print(Int(rate), Double(half) / 1000, Double(most) / 1000)
        return
    }
    let before = runNanoseconds(of: arguments[2])
    let rounds = max(1, requests / connections)
    for _ in 0..<rounds { try load.round() }
    let spent = runNanoseconds(of: arguments[2]) - before
    print(Double(spent) / 1000 / Double(rounds * connections))
}

try main(CommandLine.arguments)

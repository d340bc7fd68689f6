// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway

/// An upstream's answer as it is kept.
package struct CachedAnswer: Sendable, Equatable {
    package var status: Int
    /// The head's lines that go to clients, line ends included.
    package var lines: [UInt8] = []
    package var body: [UInt8] = []
    package var isEventStream = false

    package init(
        status: Int, lines: [UInt8] = [], body: [UInt8] = [], isEventStream: Bool = false
    ) {
        self.status = status
        self.lines = lines
        self.body = body
        self.isEventStream = isEventStream
    }

    var byteCount: Int { lines.count + body.count + 64 }

    /// Whether the body is a JSON object that tells of an error.
    var tellsOfError: Bool {
        guard !isEventStream else { return false }
        var scanner = MemberScanner(names: ["error"])
        unsafe body.withUnsafeBytes { unsafe scanner.read($0) }
        guard let error = scanner[0] else { return false }
        return error.text != Array("null".utf8)
    }
}

/// How a request fared that asked on behalf of others as well.
struct CacheFailure: Sendable, Equatable {
    var status = 502
    var code = "upstream_unavailable"
    var message = "the request that asked for all of the same question failed"
}

/// Where a request's answer came from, as X-Cache has it.
enum CacheResult: String {
    case hit
    case miss
    /// Another request's answer to the same question.
    case joined
    /// Beyond its time, because nobody could answer.
    case stale

    var isServed: Bool { self != .miss }
}

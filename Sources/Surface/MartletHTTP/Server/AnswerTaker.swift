// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a request came by and its answer goes to: a client's connection, or a call from inside the
/// process. Lives on one event loop.
protocol AnswerTaker: AnyObject {
    /// What a handler left for the next request with the same head.
    var recollection: AnyObject? { get set }
    /// An empty array that may have room, to write an answer into.
    func takeBytes() -> [UInt8]
    func respond(_ response: consuming HTTPResponse, to sequence: UInt64)
    /// Sends the head of an answer whose body follows.
    func beginStream(_ stream: HTTPStream, _ response: HTTPResponse, to sequence: UInt64)
    /// Sends what has been written to the stream meanwhile.
    func pumpStream(_ sequence: UInt64)
    /// Ends an answer that cannot be completed.
    func cutStream(_ sequence: UInt64)
}

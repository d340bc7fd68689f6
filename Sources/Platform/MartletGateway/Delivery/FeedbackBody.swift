// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// A verdict as `POST /v1/feedback` has it: `{"request_id": "9f86d081884c7d65", "score": 0.8}`.
package struct FeedbackBody: Sendable, Hashable {
    package static let bytesMax = 16 << 10
    private static let members = ["request_id", "score"]

    /// The `X-Request-Id` of the answer.
    package var id: String
    /// 0 (useless) to 1 (just right).
    package var score: Double

    /// - Throws: `FeedbackBodyError` naming the member that is wrong.
    package init(_ bytes: [UInt8]) throws(FeedbackBodyError) {
        guard bytes.count <= FeedbackBody.bytesMax else {
            throw FeedbackBodyError(
                message: "feedback has \(bytes.count) bytes, at most \(FeedbackBody.bytesMax)")
        }
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw FeedbackBodyError(message: "feedback is no JSON: \(error)")
        }
        guard let object = value.objectValue else {
            throw FeedbackBodyError(message: "feedback must be a JSON object")
        }
        for key in object.keys where !FeedbackBody.members.contains(key) {
            throw FeedbackBodyError(
                message: "unknown member '\(key)' in the feedback"
                    + ProblemList.hint(key, among: FeedbackBody.members))
        }
        guard let id = object["request_id"]?.stringValue, RequestID.isWellFormed(id.utf8) else {
            throw FeedbackBodyError(message: "request_id must be the X-Request-Id of the answer")
        }
        guard let score = object["score"]?.doubleValue, (0...1).contains(score) else {
            throw FeedbackBodyError(message: "score must be a number from 0 to 1")
        }
        self.id = id
        self.score = score
    }
}

/// Why a verdict cannot be taken.
package struct FeedbackBodyError: Error, Sendable, CustomStringConvertible {
    package let message: String
    package var description: String { message }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// How a `GenerationScheduler` shares its model. Every bound has a default.
package struct SchedulerPolicy: Sendable, Hashable {
    /// Sequences that run at once.
    package var runningMax = 64
    /// Requests that wait; more are refused.
    package var waitingMax = 512
    /// Rows of a step that computes prompts only.
    package var stepRowsMax = 512
    /// Rows of prompts in a step that also continues running sequences, so that those go on.
    package var promptRowsMax = 128
    /// Rows of a prompt whose logits are all wanted: each takes a vocabulary's width of memory.
    package var scoredRowsMax = 32
    /// Sequences that one request may ask for.
    package var samplesMax = 16
    /// Drafted tokens that one sequence may have checked in a step.
    package var draftMax = 8
    /// Drafts are checked only while at most so many sequences run: beyond, rows cost time.
    package var draftingRunsMax = 8
    /// After waiting so long, a request counts as one priority level higher; and again.
    package var agingInterval: Duration = .seconds(10)
    package var reusesPrefixes = true

    package init() {}
}

/// What a scheduler must know of a request.
package struct ScheduledRequest: Sendable {
    package var tokens: [Int32]
    /// The most tokens that may be added.
    package var newTokensMax: Int
    package var samples = 1
    /// Higher goes first.
    package var priority = 0
    /// Whose share of the model it is charged to.
    package var tenant = ""
    package var namespace = CacheNamespace()
    /// The adapter's number in the runner; -1 for none.
    package var adapter: Int32 = -1
    package var deadline: MonotonicInstant?
    /// Logits are wanted from this position of the prompt on; nil for its last only.
    package var scoredFrom: Int?

    package init(tokens: [Int32], newTokensMax: Int) {
        self.tokens = tokens
        self.newTokensMax = newTokensMax
    }
}

/// Names a sequence of a scheduler, in order of arrival.
package struct SequenceID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let number: UInt64

    package static func < (left: SequenceID, right: SequenceID) -> Bool {
        left.number < right.number
    }

    package var description: String { "#\(number)" }
}

/// Why a scheduler does not take a request.
package enum SchedulerRefusal: Error, Hashable {
    case queueFull(waiting: Int)
    /// Positions that a sequence can have here: the model's context, or what the whole cache holds
    /// where that is less.
    case tooLong(tokens: Int, most: Int, isCacheFull: Bool)
    case tooManySamples(most: Int)
    case empty
}

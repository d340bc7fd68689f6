// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// One sequence of tokens that grows: waiting, or running with blocks of the cache.
struct ScheduledSequence: Sendable {
    let id: SequenceID
    /// Its place in line: kept over preemption and by the samples of one request.
    let arrival: UInt64
    var arrived: MonotonicInstant
    let priority: Int
    /// The priority that its waiting had earned it when it last started.
    var level: Int
    let tenant: String
    let deadline: MonotonicInstant?
    let namespace: CacheNamespace
    let adapter: Int32
    /// The prompt, then what was generated; the last token's keys are in no block yet.
    var tokens: [Int32]
    var promptCount: Int
    let tokenCountMax: Int
    /// Positions in the cache.
    var computed = 0
    /// Tokens that need not be computed at its first start.
    var cachedCount: Int?
    var samples: Int
    var scoredFrom: Int?
    /// What might follow, to be checked in one pass.
    var draft: [Int32] = []
    var blocks: SequenceBlocks?

    /// Tokens that have no keys in the cache.
    var outstanding: Int { tokens.count - computed }
    /// Continues with one row at a time.
    var isDecoding: Bool { outstanding == 1 && computed >= promptCount }

    /// Better ones get blocks first: higher level, then earlier arrival.
    func ranks(before other: ScheduledSequence) -> Bool {
        level != other.level
            ? level > other.level
            : arrival != other.arrival ? arrival < other.arrival : id < other.id
    }
}

/// One step: what the runner computes, and whose logits come out.
package struct StepPlan: Sendable {
    /// Rows of logits that belong to one sequence.
    package struct Output: Sendable {
        package var sequence: SequenceID
        /// Its rows among the step's logits.
        package var firstLogit: Int
        package var logitCount: Int
        /// The position of the first of these rows.
        package var firstPosition: Int
        /// The last of them is the prompt's or sequence's end: a token follows.
        package var samples: Bool
        /// Drafted tokens whose rows follow the first.
        package var draft: [Int32]
    }

    package var step = DecoderStep()
    /// Blocks to copy before the step, in this order.
    package var copies: [(from: Int32, to: Int32)] = []
    package var outputs: [Output] = []
    /// Rows of each slice's sequence, in the order of the slices.
    var slices: [(sequence: SequenceID, rowCount: Int, draftCount: Int)] = []
    /// Sequences whose deadline passed: out already.
    package var expired: [SequenceID] = []
    /// Sequences that run for the first time.
    package var started: [SequenceID] = []

    package var isEmpty: Bool { slices.isEmpty }
    package var rowCount: Int { step.tokens.count }
}

/// What a scheduler has done so far, and holds now.
package struct SchedulerCounts: Sendable, Hashable {
    package var running = 0
    package var waiting = 0
    package var preemptions: UInt64 = 0
    package var promptTokens: UInt64 = 0
    package var generatedTokens: UInt64 = 0
    /// Prompt tokens that were looked for in the cache, and found there.
    package var prefixQueries: UInt64 = 0
    package var prefixHits: UInt64 = 0
    package var blocksUsed = 0
    package var blockCount = 0
    /// Sequences whose guesses were checked, one a step.
    package var drafts: UInt64 = 0
    package var draftedTokens: UInt64 = 0
    package var acceptedTokens: UInt64 = 0
    /// Adapters that running sequences go through, and that waiting ones will, by number.
    package var runningAdapters: Set<Int32> = []
    package var waitingAdapters: Set<Int32> = []

    package init() {}
}

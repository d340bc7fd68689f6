// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Decides which rows of which sequences a decoder computes next: continuous batching over a paged
/// cache, as a value without time, threads or models of its own.
///
/// `plan` says what the next step computes; when it has run, `complete` enters that, and `append`,
/// `fork` and `finish` say what came of the outputs. Running sequences come first with a row each,
/// prompts follow in chunks. A request is admitted when its prompt has blocks; when a running
/// sequence needs one more and there is none, the lowest in rank gives its blocks up and is
/// computed again later. The first in rank is never made to wait, so that every request ends.
package struct GenerationScheduler: Sendable {
    package let policy: SchedulerPolicy
    package let sequenceTokensMax: Int
    /// The cache holds less than one sequence of the whole context.
    private let isCacheSmall: Bool
    /// Best rank first.
    var running: [ScheduledSequence] = []
    var waiting: [ScheduledSequence] = []
    var pool: BlockPool
    var shares = TenantShares()
    var totals = SchedulerCounts()
    private var nextNumber: UInt64 = 0
    /// In the plan that runs now.
    var isStepOpen = false

    package init(policy: SchedulerPolicy, shape: DecoderShape) {
        self.policy = policy
        pool = BlockPool(blockCount: shape.blockCount, blockLength: shape.blockLength)
        let cached = shape.blockCount * shape.blockLength
        sequenceTokensMax = min(shape.contextLength, cached)
        isCacheSmall = shape.isCacheSmall || cached < shape.contextLength
    }

    package var isIdle: Bool { running.isEmpty && waiting.isEmpty }

    package var counts: SchedulerCounts {
        var counts = totals
        counts.running = running.count
        counts.waiting = waiting.count
        counts.blocksUsed = pool.usedCount
        counts.blockCount = pool.blockCount
        for sequence in running where sequence.adapter >= 0 {
            counts.runningAdapters.insert(sequence.adapter)
        }
        for sequence in waiting where sequence.adapter >= 0 {
            counts.waitingAdapters.insert(sequence.adapter)
        }
        return counts
    }

    // MARK: Requests

    /// Puts a request in line.
    /// - Returns: its first sequence; more come of `fork`.
    package mutating func submit(
        _ request: ScheduledRequest, now: MonotonicInstant
    ) throws(SchedulerRefusal) -> SequenceID {
        guard !request.tokens.isEmpty else { throw .empty }
        guard request.tokens.count < sequenceTokensMax else {
            throw .tooLong(
                tokens: request.tokens.count, most: sequenceTokensMax - 1,
                isCacheFull: isCacheSmall)
        }
        let samplesMax = min(policy.samplesMax, policy.runningMax)
        guard (1...samplesMax).contains(request.samples) else {
            throw .tooManySamples(most: samplesMax)
        }
        guard waiting.count < policy.waitingMax else {
            throw .queueFull(waiting: waiting.count)
        }
        let id = makeID()
        let room = sequenceTokensMax - request.tokens.count
        waiting.append(
            ScheduledSequence(
                id: id, arrival: id.number, arrived: now, priority: request.priority,
                level: request.priority, tenant: request.tenant, deadline: request.deadline,
                namespace: request.namespace, adapter: request.adapter, tokens: request.tokens,
                promptCount: request.tokens.count,
                tokenCountMax: request.tokens.count + min(max(request.newTokensMax, 0), room),
                samples: request.samples, scoredFrom: request.scoredFrom))
        shares.enter(request.tenant, waiting: waiting.lazy.dropLast().map(\.tenant))
        return id
    }

    private mutating func makeID() -> SequenceID {
        defer { nextNumber += 1 }
        return SequenceID(number: nextNumber)
    }

    /// Takes a sequence out, whatever it is doing; its blocks are free at once. Does nothing for
    /// one that is out already.
    package mutating func finish(_ id: SequenceID) {
        if let index = running.firstIndex(where: { $0.id == id }) {
            leave(running.remove(at: index))
        } else if let index = waiting.firstIndex(where: { $0.id == id }) {
            leave(waiting.remove(at: index))
        }
    }

    mutating func leave(_ sequence: ScheduledSequence) {
        if var blocks = sequence.blocks { pool.close(&blocks) }
        shares.leave(sequence.tenant)
    }

    // MARK: After a step

    /// Enters that the plan's rows are in the cache. Sequences that were finished meanwhile are
    /// passed over.
    package mutating func complete(_ plan: StepPlan) {
        isStepOpen = false
        for slice in plan.slices {
            guard let index = running.firstIndex(where: { $0.id == slice.sequence })
            else { continue }
            let rows = slice.rowCount - slice.draftCount
            let promptRows = max(
                0, min(rows, running[index].promptCount - running[index].computed))
            running[index].computed += rows
            totals.promptTokens += UInt64(promptRows)
            shares.charge(running[index].tenant, Double(promptRows))
            commit(index)
        }
    }

    /// Enters that the plan's rows could not be computed; its sequences stand where they stood.
    package mutating func abandon(_ plan: StepPlan) { isStepOpen = false }

    private mutating func commit(_ index: Int) {
        guard policy.reusesPrefixes, var blocks = running[index].blocks else { return }
        running[index].blocks = nil
        pool.commit(&blocks, tokens: running[index].tokens, computed: running[index].computed)
        running[index].blocks = blocks
    }

    /// Adds what was sampled to a sequence whose output this plan held: the tokens that its draft
    /// had right and the one behind them.
    /// - Returns: whether it may have another.
    package mutating func append(_ tokens: [Int32], to id: SequenceID) -> Bool {
        guard let index = running.firstIndex(where: { $0.id == id }) else { return false }
        // All but the last were rows of the step already.
        running[index].computed += tokens.count - 1
        running[index].tokens += tokens
        running[index].draft = []
        totals.generatedTokens += UInt64(tokens.count)
        totals.acceptedTokens += UInt64(tokens.count - 1)
        shares.charge(
            running[index].tenant, Double(tokens.count) * TenantShares.generatedWeight)
        if tokens.count > 1 { commit(index) }
        return running[index].tokens.count < running[index].tokenCountMax
    }

    package func isRunning(_ id: SequenceID) -> Bool { running.contains { $0.id == id } }

    /// Tokens that a sequence may still get.
    package func room(of id: SequenceID) -> Int {
        guard let sequence = running.first(where: { $0.id == id }) else { return 0 }
        return sequence.tokenCountMax - sequence.tokens.count
    }

    /// Makes the further samples of a request whose prompt is computed; they share its blocks.
    package mutating func fork(_ id: SequenceID) -> [SequenceID] {
        guard let index = running.firstIndex(where: { $0.id == id }) else { return [] }
        let first = running[index]
        guard first.samples > 1, let blocks = first.blocks else { return [] }
        running[index].samples = 1
        var ids: [SequenceID] = []
        for _ in 1..<first.samples {
            let id = makeID()
            var sequence = ScheduledSequence(
                id: id, arrival: first.arrival, arrived: first.arrived, priority: first.priority,
                level: first.level, tenant: first.tenant, deadline: first.deadline,
                namespace: first.namespace, adapter: first.adapter,
                tokens: first.tokens, promptCount: first.promptCount,
                tokenCountMax: first.tokenCountMax, samples: 1)
            sequence.computed = first.computed
            sequence.cachedCount = first.cachedCount
            sequence.blocks = pool.fork(blocks)
            shares.join(first.tenant)
            ids.append(id)
            insertRunning(sequence)
        }
        return ids
    }

    /// Asks for what might follow a sequence's tokens, to be checked in its next step.
    package mutating func draft(
        for id: SequenceID, _ propose: (_ tokens: [Int32], _ countMax: Int) -> [Int32]
    ) {
        guard let index = running.firstIndex(where: { $0.id == id }) else { return }
        running[index].draft = propose(running[index].tokens, policy.draftMax)
    }

    /// Whether drafts would be looked at now.
    package var takesDrafts: Bool { running.count <= policy.draftingRunsMax && waiting.isEmpty }

    /// Prompt tokens that a sequence found in the cache.
    package func cachedCount(of id: SequenceID) -> Int {
        running.first { $0.id == id }?.cachedCount ?? 0
    }

    mutating func insertRunning(_ sequence: ScheduledSequence) {
        let place = running.firstIndex { sequence.ranks(before: $0) } ?? running.endIndex
        running.insert(sequence, at: place)
    }

    // MARK: Checking

    /// What is wrong with the books; nil when nothing is. For simulations.
    package var inconsistency: String? {
        if running.reduce(0, { $0 + $1.samples }) > policy.runningMax {
            return "\(running.count) run, at most \(policy.runningMax)"
        }
        for sequence in waiting where sequence.blocks != nil {
            return "\(sequence.id) waits with blocks"
        }
        for sequence in running {
            guard let blocks = sequence.blocks else { return "\(sequence.id) has no blocks" }
            guard pool.blocksNeeded(for: sequence.computed) <= blocks.blocks.count else {
                return "\(sequence.id) has computed more than its blocks hold"
            }
        }
        return pool.inconsistency(holders: running.compactMap(\.blocks))
    }
}

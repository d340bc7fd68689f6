// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

extension GenerationScheduler {
    /// Decides the next step. Every plan that is not empty must be completed before the next.
    package mutating func plan(now: MonotonicInstant) -> StepPlan {
        precondition(!isStepOpen, "a step was planned before the last was completed")
        var plan = StepPlan()
        expire(now, &plan)
        admit(now, &plan)
        planRunning(&plan)
        isStepOpen = !plan.isEmpty
        return plan
    }

    private mutating func expire(_ now: MonotonicInstant, _ plan: inout StepPlan) {
        for sequence in running + waiting {
            guard let deadline = sequence.deadline, deadline <= now else { continue }
            plan.expired.append(sequence.id)
        }
        for id in plan.expired { finish(id) }
    }

    // MARK: Admission

    private mutating func admit(_ now: MonotonicInstant, _ plan: inout StepPlan) {
        while let index = nextWaiting(now) {
            while !fits(waiting[index]) {
                // Whoever matters less makes room; otherwise the first in line waits for it.
                guard let worst = running.last, worst.level < waiting[index].priority
                else { return }
                preempt(running.count - 1)
            }
            start(waiting.remove(at: index), now, &plan)
        }
    }

    /// The waiting sequence that is next: highest level, least served tenant, longest in line.
    private func nextWaiting(_ now: MonotonicInstant) -> Int? {
        typealias Key = (level: Int, share: Double, arrival: UInt64, number: UInt64)
        func key(_ sequence: ScheduledSequence) -> Key {
            (
                level(sequence, now), shares.share(of: sequence.tenant), sequence.arrival,
                sequence.id.number
            )
        }
        func precedes(_ left: Key, _ right: Key) -> Bool {
            if left.level != right.level { return left.level > right.level }
            if left.share != right.share { return left.share < right.share }
            return (left.arrival, left.number) < (right.arrival, right.number)
        }
        guard var best = waiting.indices.first else { return nil }
        var bestKey = key(waiting[best])
        for index in waiting.indices.dropFirst() {
            let other = key(waiting[index])
            if precedes(other, bestKey) { (best, bestKey) = (index, other) }
        }
        return best
    }

    private func level(_ sequence: ScheduledSequence, _ now: MonotonicInstant) -> Int {
        let waited = max(sequence.arrived.nanoseconds(to: now), 0)
        let interval = max(policy.agingInterval.nanosecondsSaturating, 1)
        let (level, overflow) = sequence.priority.addingReportingOverflow(Int(waited / interval))
        return overflow ? .max : level
    }

    /// Whether there are places and blocks for all tokens of a sequence and one more.
    private func fits(_ sequence: ScheduledSequence) -> Bool {
        let places = running.reduce(0) { $0 + $1.samples }
        guard places + sequence.samples <= policy.runningMax else { return false }
        let found =
            policy.reusesPrefixes
            ? pool.reusable(
                sequence.namespace, tokens: sequence.tokens, limit: reusableMax(sequence))
            : (tokenCount: 0, idleBlocks: 0)
        let needed =
            pool.blocksNeeded(for: sequence.tokens.count + 1)
            - found.tokenCount / pool.blockLength
        // A little is left for those that run already, so that they are not preempted at once.
        let spare = running.isEmpty ? 0 : min(running.count, pool.blockCount / 64 + 1)
        return min(needed, pool.blockCount) + found.idleBlocks + spare <= pool.availableCount
    }

    /// The last token is always computed, for its logits; scored ones too.
    private func reusableMax(_ sequence: ScheduledSequence) -> Int {
        min(sequence.tokens.count - 1, sequence.scoredFrom ?? Int.max)
    }

    private mutating func start(
        _ sequence: ScheduledSequence, _ now: MonotonicInstant, _ plan: inout StepPlan
    ) {
        var sequence = sequence
        shares.admit(sequence.tenant)
        sequence.level = level(sequence, now)
        var blocks = pool.open(sequence.namespace)
        var found = 0
        if policy.reusesPrefixes {
            found = pool.reuse(
                &blocks, tokens: sequence.tokens, limit: reusableMax(sequence))
            totals.prefixQueries += UInt64(sequence.tokens.count)
            totals.prefixHits += UInt64(found)
        }
        let isReserved = pool.reserve(&blocks, tokenCount: sequence.tokens.count)
        precondition(isReserved, "a sequence that fits got no blocks")
        sequence.blocks = blocks
        sequence.computed = found
        if sequence.cachedCount == nil {
            sequence.cachedCount = found
            plan.started.append(sequence.id)
        }
        insertRunning(sequence)
    }

    /// Sends a running sequence back in line; its full blocks stay cached while there is room.
    private mutating func preempt(_ index: Int) {
        var sequence = running.remove(at: index)
        if var blocks = sequence.blocks { pool.close(&blocks) }
        sequence.blocks = nil
        sequence.computed = 0
        sequence.draft = []
        if sequence.tokens.count > sequence.promptCount { sequence.scoredFrom = nil }
        totals.preemptions += 1
        waiting.append(sequence)
    }

    // MARK: Rows

    private mutating func planRunning(_ plan: inout StepPlan) {
        var planned: Set<SequenceID> = []
        let decoding = running.filter(\.isDecoding).map(\.id)
        for id in decoding { planRows(id, rowsMax: 1 + policy.draftMax, &planned, &plan) }
        var budget =
            plan.isEmpty
            ? policy.stepRowsMax
            : max(min(policy.promptRowsMax, policy.stepRowsMax - plan.rowCount), 1)
        for id in running.filter({ !$0.isDecoding }).map(\.id) where budget > 0 {
            let before = plan.rowCount
            planRows(id, rowsMax: budget, &planned, &plan)
            budget -= plan.rowCount - before
        }
    }

    /// Adds the next rows of a sequence to the plan, if it has or gets the blocks.
    private mutating func planRows(
        _ id: SequenceID, rowsMax: Int, _ planned: inout Set<SequenceID>, _ plan: inout StepPlan
    ) {
        // Whoever made room for a better one is gone by now.
        guard let index = running.firstIndex(where: { $0.id == id }),
            // One whose output has not become a token yet waits for that.
            running[index].outstanding > 0
        else { return }
        var rows = min(running[index].outstanding, rowsMax)
        if let first = running[index].scoredFrom {
            rows = min(rows, max(first - running[index].computed, 0) + policy.scoredRowsMax)
        }
        var draft: [Int32] = []
        if running[index].isDecoding, takesDrafts {
            let room = running[index].tokenCountMax - running[index].tokens.count - 1
            draft = Array(running[index].draft.prefix(max(0, min(policy.draftMax, room))))
        }
        if !draft.isEmpty, !hasBlocks(index, rows + draft.count, &plan) { draft = [] }
        if draft.isEmpty {
            while !hasBlocks(index, rows, &plan) {
                // The last in rank of those without rows makes room, perhaps this one itself.
                guard let victim = running.lastIndex(where: { !planned.contains($0.id) }),
                    victim >= index
                else { return }
                preempt(victim)
                if victim == index { return }
            }
        }
        planned.insert(id)
        enter(index, rows, draft, &plan)
    }

    /// Makes sure of blocks of its own for the next rows.
    private mutating func hasBlocks(_ index: Int, _ rows: Int, _ plan: inout StepPlan) -> Bool {
        guard var blocks = running[index].blocks else { return false }
        running[index].blocks = nil
        let computed = running[index].computed
        let succeeded =
            pool.makeWritable(&blocks, from: computed, copies: &plan.copies)
            && pool.reserve(&blocks, tokenCount: computed + rows)
        running[index].blocks = blocks
        return succeeded
    }

    private mutating func enter(
        _ index: Int, _ rows: Int, _ draft: [Int32], _ plan: inout StepPlan
    ) {
        let sequence = running[index]
        let first = plan.step.tokens.count
        let all = rows + draft.count
        let last = sequence.computed + rows
        plan.step.tokens += sequence.tokens[sequence.computed..<last]
        plan.step.tokens += draft
        plan.step.slices.append(
            DecoderStep.Slice(
                firstRow: Int32(first), rowCount: Int32(all),
                firstPosition: Int32(sequence.computed),
                firstBlock: Int32(plan.step.blocks.count), adapter: sequence.adapter))
        let blocks = sequence.blocks?.blocks ?? []
        plan.step.blocks += blocks.prefix(pool.blocksNeeded(for: sequence.computed + all))
        plan.slices.append((sequence.id, all, draft.count))
        totals.draftedTokens += UInt64(draft.count)
        if !draft.isEmpty { totals.drafts += 1 }
        let samples = last == sequence.tokens.count
        var firstLogitRow = rows - 1
        var isScored = false
        if let first = sequence.scoredFrom, sequence.computed < sequence.promptCount, first < last {
            firstLogitRow = max(0, first - sequence.computed)
            isScored = true
        }
        guard samples || isScored else { return }
        plan.outputs.append(
            StepPlan.Output(
                sequence: sequence.id, firstLogit: plan.step.logitRows.count,
                logitCount: all - firstLogitRow,
                firstPosition: sequence.computed + firstLogitRow, samples: samples, draft: draft))
        plan.step.logitRows += (firstLogitRow..<all).map { Int32(first + $0) }
    }
}

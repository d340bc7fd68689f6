// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// How a batcher admits, orders and joins requests: the configuration in the machine's terms.
package struct BatchingPolicy: Sendable {
    /// What one priority level admits.
    package struct Level: Sendable {
        /// Requests past their time wait behind the others instead of being refused.
        package var delaysOnTimeout = false
        package var timeout: Duration?
        package var allowsTimeoutOverride = false
        package var waitingMax = ModelConfiguration.QueuePolicy.defaultQueueSizeMax

        package init() {}
    }

    /// Most rows of one batch; a request with more is refused.
    package var rowsMax = 1
    /// False: every request is a batch of its own.
    package var joinsRequests = false
    /// Ascending; a batch that reaches one exactly runs without waiting for more.
    package var preferredRows: [Int] = []
    package var queueDelay: Duration = .zero
    package var preservesOrdering = false
    /// Index 0 is priority 1, the highest. Never empty.
    package var levels: [Level] = [Level()]
    /// Index of the level for requests that name none.
    package var defaultLevel = 0
    /// A caller that offers to run its request itself does so while runs of that size take at most
    /// this long; zero: never. Waking an instance's thread and being woken costs about as much.
    package var inlineRunLimit: Duration = .microseconds(20)
    /// Most bytes of input of a request that its caller runs.
    package var inlineInputBytesMax = 64 << 10

    package init() {}

    /// Whether a request that finds an empty queue and an idle instance runs without waiting.
    func runsAtOnce(rows: Int) -> Bool {
        !joinsRequests || queueDelay == .zero || rows >= rowsMax || preferredRows.contains(rows)
    }

    /// The policy that a validated configuration asks for.
    package init(_ configuration: ModelConfiguration) {
        rowsMax = max(1, configuration.maxBatchSize)
        guard let batching = configuration.dynamicBatching else { return }
        joinsRequests = configuration.maxBatchSize > 1
        preferredRows = batching.preferredBatchSizes.filter { $0 > 0 && $0 <= rowsMax }.sorted()
        queueDelay = .microseconds(Int64(clamping: batching.maxQueueDelayMicroseconds))
        preservesOrdering = batching.preservesOrdering
        let count = Int(clamping: max(1, batching.priorityLevels))
        levels = (1...count).map { level in
            Level(
                batching.priorityQueuePolicies[UInt64(level)] ?? batching.defaultQueuePolicy)
        }
        let level = batching.defaultPriorityLevel
        defaultLevel = level == 0 ? 0 : min(Int(clamping: level), count) - 1
    }
}

extension BatchingPolicy.Level {
    package init(_ policy: ModelConfiguration.QueuePolicy) {
        delaysOnTimeout = policy.timeoutAction == .delay
        if policy.defaultTimeoutMicroseconds > 0 {
            timeout = .microseconds(Int64(clamping: policy.defaultTimeoutMicroseconds))
        }
        allowsTimeoutOverride = policy.allowsTimeoutOverride
        waitingMax = policy.queueSizeMax
    }

    /// How long a request may wait: its own wish counts only where allowed, and only to shorten.
    func timeout(requested: Duration?) -> Duration? {
        guard allowsTimeoutOverride, let requested, requested > .zero else { return timeout }
        guard let timeout else { return requested }
        return min(timeout, requested)
    }
}

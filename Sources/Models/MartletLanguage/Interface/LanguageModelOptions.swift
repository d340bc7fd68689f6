// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine

/// How a `LanguageModel` is opened. Every bound has a default.
public struct LanguageModelOptions: Sendable {
    /// How products are computed: as the weights are stored, in 32 bits, or in 8.
    public var precision = DecoderOptions.Precision.stored
    /// What the cache keeps keys and values as.
    public var cacheType = DecoderOptions.CacheType.float16
    /// The most tokens of a prompt and its answer together; nil: as the model says, at most 32 768.
    public var contextLength: Int?
    /// The most bytes that the cache of keys and values may take; 1 GiB.
    public var cacheBytesMax = 1 << 30
    /// The most bytes that weights and working memory may take; 64 GiB.
    public var memoryBytesMax = 64 << 30
    /// Answers that are made at once; further requests wait.
    public var runningMax = 64
    /// Requests that wait; more are refused with `.overloaded`.
    public var waitingMax = 512
    /// Threads of a step; nil: one for each core.
    public var threads: Int?
    /// A folder where packed weights are kept and found again, at most 8 GiB; nil: they are packed
    /// each time.
    public var packedWeightsFolder: String?
    /// A smaller model of the same tokens that guesses for this one; answers are the same without.
    public var draftModelPath: String?
    /// Folders of low-rank adapters by the names that `GenerationOptions.adapter` says.
    public var adapters: [String: String] = [:]

    public init() {}

    var decoder: DecoderOptions {
        var options = DecoderOptions()
        options.precision = precision
        options.cacheType = cacheType
        options.contextLength = contextLength
        options.cacheByteCountMax = cacheBytesMax
        options.memoryByteCountMax = memoryBytesMax
        options.sequencesMax = runningMax
        options.threads = threads
        options.planCache = packedWeightsFolder.map { PlanCacheOptions(folder: $0) }
        options.adaptersMax = adapters.count
        return options
    }

    var policy: SchedulerPolicy {
        var policy = SchedulerPolicy()
        policy.runningMax = runningMax
        policy.waitingMax = waitingMax
        return policy
    }

    /// What is wrong with the options; nil when nothing is.
    var fault: String? {
        let counts = [
            ("contextLength", contextLength ?? 1), ("cacheBytesMax", cacheBytesMax),
            ("memoryBytesMax", memoryBytesMax), ("runningMax", runningMax),
            ("waitingMax", waitingMax), ("threads", threads ?? 1),
        ]
        for (name, count) in counts where count < 1 {
            return "\(name): expected at least 1, got \(count)"
        }
        return runningMax > 4096 ? "runningMax: expected at most 4096, got \(runningMax)" : nil
    }
}

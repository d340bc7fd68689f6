// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire

/// One request between its head and the end of its answer. A client's connection has one and uses
/// it for all its requests, so that what it holds is allocated once.
struct Exchange {
    /// Where it stands.
    enum Stage {
        /// Its body is collected to route by.
        case collecting
        /// Waits: for a connection, or until an attempt may be repeated.
        case waiting
        /// An upstream has it, or some of it.
        case asked
        /// The answer's head is kept back until the answer shows what it is worth.
        case holding
        /// The answer is on its way to the client.
        case answering
        case over
    }

    var stage = Stage.over
    var runtime: GatewayRuntime?
    var began = MonotonicInstant(nanoseconds: 0)
    var requestID: UInt64 = 0
    /// Where the client's own id stands in the head, when it is taken.
    var givenID: Range<Int>?
    var method = HTTPMethod.get
    var keepsAlive = true
    var isOldVersion = false
    /// The client says how urgent it is.
    var hasPriority = false
    /// The caller's key, by number.
    var key: Int?
    /// What the caller's token says, when it has one.
    var identity: TokenIdentity?
    var isAdmin = false
    /// It is a verdict on an earlier answer, or a question with a body: it is answered here.
    var isFeedback = false
    var deadline = Deadline.never

    // The body as far as it is kept: its front, until it is given up as too long to send again.
    var body: [UInt8] = []
    var bodyBytes = 0
    var isBodyComplete = false
    /// The whole body is in `body`: it can be sent again.
    var isReplayable = true
    var members = RequestMembers()
    var scansBody = false

    // A gRPC call's.
    var isGRPC = false
    /// Messages go by one after the other: the call is not kept whole before it is asked.
    var isStreamingCall = false
    var messages = GRPCModelScanner()
    /// Puts another model's name into messages on their way.
    var renamer: GRPCModelRenamer?

    // Where it goes.
    var modelName: String?
    var modelRange: Range<Int>?
    var user: String?
    var hasStream = false
    var outputTokensMax: Int?
    var decision = RoutingDecision(outcome: .unknownModel)
    var version = -1
    var fallbackPlace = 0
    var fallbacks: [Int] = []
    var triedModels: [Int] = []
    var retries = 0
    /// Whether it may be asked twice; nil: not looked at yet.
    var isRepeatable: Bool?
    /// nil: not traced, until it is asked on.
    var trace: TraceContext?
    /// Whom the last attempt went to.
    var member: Int?
    var pool: PoolRuntime?
    var attempt: PoolRuntime.Attempt?
    /// The member's connection had gone stale, and it was asked again over a new one.
    var isOnFresh = false
    var attempts = 0
    /// Counts attempts, so that a late connection finds nobody.
    var attemptNumber: UInt64 = 0
    var tried = TriedMembers()
    var priority = RequestPriority.normal
    var connection: UpstreamConnection?
    var lastFailure: AttemptFailure?

    // Its answer.
    var status = 0
    var isChunked = false
    var endsWithClose = false
    var held: [UInt8] = []
    var isEventStream = false
    var checksEvents = false
    /// The answer is compressed: nobody here reads it.
    var isCoded = false
    /// Asks the upstream for what a stream used, because the client does not.
    var usageQuestion: BodyEdit?
    /// The answer to that is not for the client.
    var leavesOutUsage = false
    var events = EventStreamReader()
    var readsUsage = false
    var usageScanner = MemberScanner(names: ["usage"])
    var firstByte: MonotonicInstant?
    var answerBytes = 0
    /// The answer's length, when its head says it.
    var answerLength: Int?
    var inputEstimate = 0
    /// The answer ended in the middle, or nobody was there to take it.
    var isCut = false
    /// Nobody was there to take it.
    var hasClientLeft = false
    /// Where its answer came from, when its model's answers are kept.
    var cacheResult: CacheResult?
    /// Its answer is the model's fixed one, because nobody could answer.
    var isFixed = false
    /// A candidate is asked the same afterwards; `answer` is kept for that.
    var isShadowed = false
    var answer = AnswerCollector()
    /// A small model is asked first, and its answer judged.
    var cascade: CascadeTurn?
    /// Tokens that models used whose answers were not taken.
    var usedBefore = 0
    /// The answer is kept for questions of the same meaning.
    var semantic: SemanticTurn?

    /// Whose request it is.
    func tenant(_ runtime: GatewayRuntime) -> String? {
        if let identity { return identity.tenant }
        return key.flatMap { runtime.access.keys[$0].tenant }
    }

    /// Begins another request; keeps its memory.
    mutating func begin(_ runtime: GatewayRuntime, at now: MonotonicInstant) {
        stage = .collecting
        self.runtime = runtime
        began = now
        givenID = nil
        key = nil
        identity = nil
        isAdmin = false
        isFeedback = false
        hasClientLeft = false
        deadline = .never
        if !body.isEmpty {
            if body.capacity > 64 << 10 { body = [] } else { body.removeAll(keepingCapacity: true) }
        }
        bodyBytes = 0
        isBodyComplete = false
        isReplayable = true
        members.reset()
        scansBody = false
        isGRPC = false
        renamer = nil
        modelName = nil
        modelRange = nil
        user = nil
        hasStream = false
        outputTokensMax = nil
        version = -1
        fallbackPlace = 0
        if !triedModels.isEmpty { triedModels.removeAll(keepingCapacity: true) }
        pool = nil
        attempt = nil
        attempts = 0
        retries = 0
        trace = nil
        member = nil
        tried = TriedMembers()
        connection = nil
        lastFailure = nil
        status = 0
        isChunked = false
        endsWithClose = false
        if !held.isEmpty { held.removeAll(keepingCapacity: true) }
        isEventStream = false
        checksEvents = false
        isCoded = false
        if usageQuestion != nil { usageQuestion = nil }
        leavesOutUsage = false
        readsUsage = false
        firstByte = nil
        answerBytes = 0
        inputEstimate = 0
        isCut = false
        isShadowed = false
        if cascade != nil { cascade = nil }
        if semantic != nil { semantic = nil }
        // The next answer may be no stream.
        if events.eventCount > 0 { events.reset() }
        usedBefore = 0
        cacheResult = nil
        isFixed = false
    }
}

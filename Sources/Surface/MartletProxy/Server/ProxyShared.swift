// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Logging
internal import MartletBase
internal import MartletGateway
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// The door's time limits in nanoseconds: what every request needs is not converted every time.
struct ProxyWaits: Sendable {
    let idle: Int64
    let header: Int64
    let body: Int64
    let write: Int64

    init(_ listen: ListenConfiguration) {
        idle = listen.idle.nanosecondsSaturating
        header = listen.header.nanosecondsSaturating
        body = listen.body.nanosecondsSaturating
        write = listen.write.nanosecondsSaturating
    }
}

/// What all event loops of a gateway share.
final class ProxyShared: Sendable {
    let listen: ListenConfiguration
    let store: RuntimeStore
    let logger: Logger
    let time = SystemTime()
    /// Of the program, for whoever asks.
    let version: String
    /// When the gateway began, since the epoch.
    let startedSeconds: Int64
    let waits: ProxyWaits
    /// The process's own models.
    let local: (any LocalService)?
    /// Where replicas share what they must agree on.
    let replicas: ReplicaState?
    let ledger = UsageLedger()
    let tenants = TenantNames()
    let budgets: BudgetLedger
    let comparisons: ComparisonLedger
    let variants: Variants
    let semantic = SemanticCaches()
    /// Compares shadows' answers: on a thread of its own, so that nothing waits behind them.
    let comparing = NIOThreadPool(numberOfThreads: 1)
    private let loopBoxes = Mutex<[NIOLoopBoundBox<ProxyLoop>]>([])
    private let connectionCount = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)
    private let adminPortNumber = Atomic<Int>(0)

    init(
        store: RuntimeStore, logger: Logger,
        local: (any LocalService)?, budgets: BudgetLedger, replicas: ReplicaState?,
        version: String
    ) {
        self.version = version
        var real = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &real)
        startedSeconds = Int64(real.tv_sec)
        self.local = local
        listen = store.load().runtime.snapshot.tables.listen
        self.store = store
        self.logger = logger
        variants = Variants(store: store, logger: logger)
        comparisons = ComparisonLedger(
            path: store.load().runtime.snapshot.tables.deliveryFiles.comparisons, logger: logger)
        waits = ProxyWaits(listen)
        self.budgets = budgets
        self.replicas = replicas
    }

    /// All event loops' states, for whoever visits them.
    var loops: [NIOLoopBoundBox<ProxyLoop>] { loopBoxes.withLock { $0 } }
    func set(loops: [NIOLoopBoundBox<ProxyLoop>]) { loopBoxes.withLock { $0 = loops } }

    var isDraining: Bool { draining.load(ordering: .relaxed) }
    var connections: Int { connectionCount.load(ordering: .relaxed) }

    /// Of the admin API, when it has one of its own and listens there.
    var adminPort: Int {
        get { adminPortNumber.load(ordering: .relaxed) }
        set { adminPortNumber.store(newValue, ordering: .relaxed) }
    }

    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// Counts a new connection; false when there are too many already.
    func admit() -> Bool {
        let count = connectionCount.add(1, ordering: .relaxed).newValue
        guard count > listen.connectionsMax else { return true }
        connectionCount.subtract(1, ordering: .relaxed)
        return false
    }

    func release() { connectionCount.subtract(1, ordering: .relaxed) }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Logging
internal import MartletGateway
internal import MartletProxy
internal import Synchronization

/// Route tables swapped as fast as that goes while threads decide by them: no decision may mix two
/// tables, or find none. And what reading the table in force costs when nothing changes.
enum SwapBenchmark {
    private static let decisionCount = 1_000_000
    private static let readCount = 100_000_000
    private static let readerCount = 2

    private final class Work: Sendable {
        let store: RoutingStore
        let tables: [RoutingSnapshot]
        let failed = Atomic(0)
        let swaps = Atomic(0)
        let readersLeft = Atomic(SwapBenchmark.readerCount)

        init(_ tables: [RoutingSnapshot]) {
            self.tables = tables
            store = RoutingStore(tables[0])
        }
    }

    /// A table of 100 models whose only version has the table's name.
    private static func table(_ name: String) throws -> RoutingSnapshot {
        var yaml = "listen: {port: 0}\nupstreams: {up: \"http://127.0.0.1:1\"}\nmodels:\n"
        for number in 0..<100 { yaml += "  m\(number): {versions: {\(name): up}}\n" }
        return try RoutingSnapshot(yaml: Array(yaml.utf8), file: name)
    }

    /// Ends the process.
    static func run() async throws {
        let work = Work([try table("one"), try table("two")])
        let (lent, held) = try await readCost(work.tables[0])
        let began = now()
        for _ in 0..<readerCount { start { decide(work) } }
        while work.readersLeft.load(ordering: .acquiring) > 0 {
            let swaps = work.swaps.load(ordering: .relaxed)
            work.store.publish(work.tables[(swaps + 1) % 2])
            work.swaps.store(swaps + 1, ordering: .relaxed)
        }
        let seconds = Double(now() - began) / 1e9
        let swaps = Int(Double(work.swaps.load(ordering: .relaxed)) / seconds)
        let failed = work.failed.load(ordering: .relaxed)
        let shown = [lent, held].map { Double(Int($0 * 100)) / 100 }
        print("read of the configuration in force  \(shown[0]) ns (bar 2)")
        print("the same, held as a request holds it  \(shown[1]) ns")
        print(
            "\(decisionCount) decisions by \(readerCount) threads: \(failed) failed or mixed; "
                + "\(swaps) swaps/s meanwhile (bar 10000)")
        exit(failed == 0 && swaps >= 10_000 && lent <= 2 ? 0 : 1)
    }

    private static func decide(_ work: Work) {
        var reader = work.store.makeReader()
        var request = RoutingRequest(
            model: nil,
            values: Array(repeating: nil, count: work.tables[0].tables.attributes.count))
        for number in 0..<(decisionCount / readerCount) {
            request.model = "m\(number % 100)"
            let isRight = reader.read { snapshot in
                let name = snapshot === work.tables[0] ? "one" : "two"
                guard case .version(let version) = snapshot.route(request, draw: 1).outcome
                else { return false }
                return snapshot.tables.versions[version].label == name
            }
            if !isRight { work.failed.add(1, ordering: .relaxed) }
        }
        work.readersLeft.subtract(1, ordering: .releasing)
    }

    /// Nanoseconds of one read on an event loop of a gateway, as its requests do it.
    private static func readCost(_ table: RoutingSnapshot) async throws -> (Double, Double) {
        var logger = Logger(label: "martlet.gateway")
        logger.logLevel = .error
        let server = try GatewayServer(table, logger: logger)
        _ = try await server.start()
        let cost = try await server.timeReads(readCount)
        await server.stop()
        return cost
    }

    private static func now() -> Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private static func start(_ run: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        unsafe pthread_create(
            &thread, nil,
            { argument in
                if let argument = unsafe argument {
                    let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                    body.run()
                }
                return nil
            }, Unmanaged.passRetained(Body(run)).toOpaque())
    }
}

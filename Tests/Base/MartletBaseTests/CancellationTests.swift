// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import Synchronization
internal import Testing

@Suite("Cancellation")
struct CancellationTests {
    final class Calls: Sendable {
        let names = Mutex<[String]>([])

        func add(_ name: String) { names.withLock { $0.append(name) } }
        var all: [String] { names.withLock { $0 } }
    }

    @Test("handlers run once, in order, without those that were taken back")
    func handlers() throws {
        let cancellation = Cancellation()
        let calls = Calls()
        cancellation.onCancel { calls.add("first") }
        let second = try #require(cancellation.register { calls.add("second") })
        cancellation.onCancel { calls.add("third") }
        cancellation.forget(second)
        cancellation.forget(second)
        cancellation.cancel()
        cancellation.cancel()
        #expect(cancellation.isCancelled)
        #expect(calls.all == ["first", "third"])
    }

    @Test("too late, a handler runs at once, and one that may be taken back not at all")
    func tooLate() {
        let cancellation = Cancellation()
        let calls = Calls()
        cancellation.cancel()
        cancellation.onCancel { calls.add("late") }
        #expect(cancellation.register { calls.add("never") } == nil)
        #expect(calls.all == ["late"])
    }
}

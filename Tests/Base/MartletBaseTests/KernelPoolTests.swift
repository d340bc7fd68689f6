// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import Synchronization
internal import Testing

@Suite struct KernelPoolTests {
    @Test("Every part runs exactly once, whatever the number of parts and threads")
    func everyPartOnce() {
        for parts in [0, 1, 2, 3, 17, 1000] {
            for threads in [0, 1, 2, 64] {
                let sum = Atomic<Int>(0)
                let count = Atomic<Int>(0)
                KernelPool.parallel(parts: parts, maximumThreads: threads) { part in
                    sum.add(part, ordering: .relaxed)
                    count.add(1, ordering: .relaxed)
                }
                #expect(count.load(ordering: .relaxed) == parts)
                #expect(sum.load(ordering: .relaxed) == parts * (parts - 1) / 2)
            }
        }
    }

    @Test("A loop inside a part runs serially and completely")
    func nestedLoops() {
        let count = Atomic<Int>(0)
        KernelPool.parallel(parts: 8) { _ in
            KernelPool.parallel(parts: 5) { _ in count.add(1, ordering: .relaxed) }
        }
        #expect(count.load(ordering: .relaxed) == 40)
    }

    @Test("Many callers share the pool at once")
    func manyCallers() async {
        let counter = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<50 {
                        KernelPool.parallel(parts: 9) { _ in counter.add() }
                    }
                }
            }
        }
        #expect(counter.value == 8 * 50 * 9)
    }

    @Test("Slots stay below the thread limit and are never shared at one time")
    func slots() {
        let size = KernelPool.size
        let busy = Mutex(Set<Int32>())
        let wrong = Atomic<Int>(0)
        KernelPool.parallel(parts: 200) { _ in
            let slot = martlet_parallel_slot()
            if slot < 0 || slot >= Int32(size) || !busy.withLock({ $0.insert(slot).inserted }) {
                wrong.add(1, ordering: .relaxed)
            }
            busy.withLock { _ = $0.remove(slot) }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
    }

    @Test("The first start decides the size")
    func firstStart() {
        let size = KernelPool.start()
        #expect(size >= 1)
        #expect(KernelPool.start(threads: size + 5) == size)
        #expect(KernelPool.size == size)
    }
}

private final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    func add() { count.add(1, ordering: .relaxed) }
    var value: Int { count.load(ordering: .relaxed) }
}

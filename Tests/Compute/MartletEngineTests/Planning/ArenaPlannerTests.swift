// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import Testing

@Suite("Arena planner")
struct ArenaPlannerTests {
    private func buffer(_ bytes: Int, _ first: Int, _ last: Int) -> ArenaPlanner.Buffer {
        ArenaPlanner.Buffer(byteCount: bytes, firstStep: first, lastStep: last)
    }

    @Test("buffers of different times share their place")
    func sharing() throws {
        let layout = try #require(
            ArenaPlanner.place([buffer(128, 0, 1), buffer(128, 2, 3), buffer(128, 4, 4)]))
        #expect(layout.offsets == [0, 0, 0])
        #expect(layout.byteCount == 128)
    }

    @Test("a buffer that is read in the step that writes another lies beside it")
    func touching() throws {
        let layout = try #require(ArenaPlanner.place([buffer(64, 0, 1), buffer(64, 1, 2)]))
        #expect(Set(layout.offsets) == [0, 64])
        #expect(layout.byteCount == 128)
    }

    @Test("a gap between two long-lived buffers is used")
    func gaps() throws {
        // The second ends early and leaves a hole that the fourth fits into.
        let layout = try #require(
            ArenaPlanner.place([
                buffer(512, 0, 9), buffer(256, 0, 1), buffer(128, 0, 9), buffer(192, 2, 9),
            ]))
        #expect(layout.byteCount == 512 + 256 + 128)
        #expect(layout.offsets[3] == layout.offsets[1])
    }

    @Test("empty buffers take nothing, sizes are rounded up, overflow is no layout")
    func sizes() throws {
        let layout = try #require(ArenaPlanner.place([buffer(0, 0, 9), buffer(1, 0, 9)]))
        #expect(layout.byteCount == 64)
        #expect(ArenaPlanner.place([])?.byteCount == 0)
        #expect(ArenaPlanner.place([buffer(.max, 0, 0)]) == nil)
        #expect(ArenaPlanner.place([buffer(.max / 4, 0, 0), buffer(.max / 4, 0, 0)]) != nil)
        let third = Int.max / 3 + 64
        let three = [buffer(third, 0, 0), buffer(third, 0, 0), buffer(third, 0, 0)]
        #expect(ArenaPlanner.place(three) == nil)
        let half = Int.max / 2 - 128
        let inTurn = [buffer(half, 0, 1), buffer(half, 2, 3), buffer(half, 0, 3)]
        #expect(ArenaPlanner.place(inTurn)?.byteCount == 2 * ((half + 63) / 64 * 64))
        let tooMuch = inTurn + [buffer(half, 0, 3)]
        #expect(ArenaPlanner.place(tooMuch) == nil)
    }

    @Test("no two buffers of the same time overlap, and nothing lies outside")
    func noOverlap() throws {
        let seed: UInt64 = 4
        var random = SeededRandom(seed: seed)
        for round in 0..<300 {
            let buffers = (0..<Int.random(in: 1...60, using: &random)).map { _ in
                let first = Int.random(in: 0..<40, using: &random)
                return buffer(
                    Int.random(in: 0..<5_000, using: &random), first,
                    first + Int.random(in: 0..<12, using: &random))
            }
            let layout = try #require(ArenaPlanner.place(buffers))
            var needed = 0
            for step in 0..<52 {
                let live = buffers.indices.filter {
                    buffers[$0].firstStep <= step && step <= buffers[$0].lastStep
                        && buffers[$0].byteCount > 0
                }
                needed = max(needed, live.reduce(0) { $0 + (buffers[$1].byteCount + 63) / 64 * 64 })
                let ordered = live.sorted { layout.offsets[$0] < layout.offsets[$1] }
                for (left, right) in zip(ordered, ordered.dropFirst()) {
                    #expect(
                        layout.offsets[left] + buffers[left].byteCount <= layout.offsets[right],
                        "seed \(seed), round \(round)")
                }
                for index in live {
                    #expect(layout.offsets[index] % 64 == 0)
                    #expect(layout.offsets[index] + buffers[index].byteCount <= layout.byteCount)
                }
            }
            #expect(layout.byteCount >= needed)
            // Greedy is not best, but never as bad as giving every buffer a place of its own.
            #expect(layout.byteCount <= 2 * needed, "seed \(seed), round \(round)")
        }
    }
}

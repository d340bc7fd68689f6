// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import Testing

@Suite("Plan cache")
struct PlanCacheTests {
    private struct Kept: PlanFootprint, Equatable {
        var name: Int
        var byteCount = 1
        var arenaByteCount = 0
    }

    private func names(_ cache: inout PlanCache<Kept>, among range: Range<Int>) -> [Int] {
        range.filter { name in cache.find { $0.name == name } != nil }
    }

    @Test("drops the least recently used when there are too many")
    func count() {
        var cache = PlanCache<Kept>(countMax: 3, byteCountMax: 1_000)
        for name in 0..<3 { cache.insert(Kept(name: name)) }
        // 0 is used again, so that 1 is the oldest.
        #expect(cache.find { $0.name == 0 } == Kept(name: 0))
        cache.insert(Kept(name: 3))
        #expect(cache.count == 3)
        #expect(names(&cache, among: 0..<4) == [0, 2, 3])
    }

    @Test("drops as many as it takes to stay within its bytes, but never the newest")
    func bytes() {
        var cache = PlanCache<Kept>(countMax: 10, byteCountMax: 100)
        for name in 0..<5 { cache.insert(Kept(name: name, byteCount: 20)) }
        #expect(cache.count == 5)
        cache.insert(Kept(name: 5, byteCount: 50))
        #expect(names(&cache, among: 0..<6) == [3, 4, 5])
        cache.insert(Kept(name: 6, byteCount: 500))
        #expect(names(&cache, among: 0..<7) == [6])
        cache.insert(Kept(name: 7, byteCount: 20))
        #expect(names(&cache, among: 0..<8) == [7])
    }

    @Test("remembers the largest arena, dropped or not, and finds nothing that does not fit")
    func arena() {
        var cache = PlanCache<Kept>(countMax: 1, byteCountMax: 100)
        cache.insert(Kept(name: 0, arenaByteCount: 7))
        cache.insert(Kept(name: 1, arenaByteCount: 3))
        #expect(cache.arenaByteCountMax == 7)
        #expect(cache.find { $0.name == 0 } == nil)
    }
}

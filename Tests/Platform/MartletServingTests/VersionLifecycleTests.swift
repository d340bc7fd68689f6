// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import Testing

@Suite("VersionLifecycle")
struct VersionLifecycleTests {
    @Test("a version goes from unloaded to ready and back")
    func wholeLife() {
        var life = VersionLifecycle()
        #expect(life.step(.load) == .startLoading)
        #expect(life.step(.loaded) == .startWarming)
        #expect(life.step(.warmed) == .publish)
        #expect(life.indexState.state == .ready)
        #expect(life.step(.unload) == .retire)
        #expect(life.indexState.state == .unloading)
        #expect(life.step(.drained) == nil)
        #expect(life.phase == .unloaded)
    }

    @Test("a failure keeps its reason until the next load")
    func failure() {
        var life = VersionLifecycle()
        _ = life.step(.load)
        #expect(life.step(.failed(reason: "broken")) == nil)
        #expect(life.indexState == (.unavailable, "broken"))
        #expect(life.step(.load) == .startLoading)
    }

    @Test("a version that is unloaded while it loads is dropped when the load returns")
    func unwanted() {
        var life = VersionLifecycle()
        _ = life.step(.load)
        #expect(life.step(.unload) == nil)
        #expect(life.step(.loaded) == .discard)
        #expect(life.phase == .unloaded)
    }

    @Test("events that make no sense change nothing")
    func nonsense() {
        var life = VersionLifecycle()
        for event: VersionLifecycle.Event in [.loaded, .warmed, .drained, .unload] {
            #expect(life.step(event) == nil)
            #expect(life.phase == .unloaded)
        }
    }
}

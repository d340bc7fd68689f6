// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import Testing

@Suite("VersionLifecycle")
struct VersionLifecycleTests {
    /// The phase after these events.
    private func phase(_ events: VersionLifecycle.Event...) -> VersionLifecycle.Phase {
        var life = VersionLifecycle()
        for event in events { life.step(event) }
        return life.phase
    }

    @Test("a version goes from unloaded to ready and back")
    func wholeLife() {
        #expect(phase(.load) == .loading)
        #expect(phase(.load, .loaded) == .warming)
        #expect(phase(.load, .loaded, .warmed) == .ready)
        #expect(phase(.load, .loaded, .warmed, .unload) == .draining)
        #expect(phase(.load, .loaded, .warmed, .unload, .drained) == .unloaded)
    }

    @Test("a failure keeps its reason until the next load")
    func failure() {
        var life = VersionLifecycle()
        life.step(.load)
        life.step(.failed(reason: "broken"))
        #expect(life.indexState == (.unavailable, "broken"))
        life.step(.load)
        #expect(life.indexState == (.loading, ""))
    }

    @Test("what is loaded again while it drains stays ready when the former requests end")
    func loadedWhileDraining() {
        #expect(
            phase(.load, .loaded, .warmed, .unload, .load, .loaded, .warmed, .drained) == .ready)
    }

    @Test("events that make no sense change nothing")
    func nonsense() {
        for event: VersionLifecycle.Event in [.loaded, .warmed, .drained, .unload] {
            #expect(phase(event) == .unloaded)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletStorage
internal import Synchronization
internal import Testing

/// Collects a watcher's reports.
final class Reports: Sendable {
    private let changes = Mutex<[DirectoryChange]>([])

    func add(_ change: DirectoryChange) {
        changes.withLock { $0.append(change) }
    }

    /// Waits until `isWanted` holds of some report, and forgets what came up to it; false after ten
    /// seconds.
    func wait(tries: Int = 2000, for isWanted: (DirectoryChange) -> Bool) -> Bool {
        for _ in 0..<tries {
            let isFound = changes.withLock { changes in
                guard let index = changes.firstIndex(where: isWanted) else { return false }
                changes.removeSubrange(0...index)
                return true
            }
            if isFound { return true }
            usleep(5000)
        }
        return false
    }

    func wait(changed name: String, tries: Int = 2000) -> Bool {
        wait(tries: tries) { change in
            if case .changed(let names) = change { names.contains(name) } else { false }
        }
    }

    var all: [DirectoryChange] { changes.withLock { $0 } }
}

@Suite("The folder watcher", .serialized)
struct DirectoryWatcherTests {
    let folder: TemporaryFolder
    let reports = Reports()

    init() throws {
        folder = try TemporaryFolder()
    }

    func watch(_ name: String = "", quiet: Duration = .milliseconds(40)) throws -> DirectoryWatcher
    {
        var options = DirectoryWatcher.Options()
        options.quietPeriod = quiet
        options.folderCheckInterval = .milliseconds(20)
        let reports = self.reports
        return try DirectoryWatcher(folder: folder.full(name), options: options) { change in
            reports.add(change)
        }
    }

    @Test("a model that is written piece by piece is reported once, when it is quiet")
    func quiet() throws {
        let watcher = try watch(quiet: .milliseconds(150))
        folder.makeFolder("model")
        folder.makeFolder("model/1")
        for index in 0..<20 {
            folder.write("model/1/weights-\(index)")
            usleep(10_000)
        }
        #expect(reports.wait(changed: "model"))
        usleep(200_000)
        watcher.close()
        #expect(reports.all == [])
    }

    @Test("a version that is moved in is reported at once, and watched from then on")
    func rename() throws {
        folder.makeFolder("root")
        folder.makeFolder("staged")
        folder.makeFolder("staged/1")
        folder.write("staged/1/model.onnx")
        let watcher = try watch("root", quiet: .seconds(60))
        folder.rename("staged", "root/model")
        #expect(reports.wait(changed: "model"))
        watcher.close()
        let second = try watch("root")
        folder.write("root/model/1/model.onnx", [9])
        #expect(reports.wait(changed: "model"))
        second.close()
    }

    @Test("deletions, files at the top and folders behind links are seen")
    func kinds() throws {
        folder.makeFolder("root")
        folder.makeFolder("elsewhere")
        let watcher = try watch("root")
        folder.write("root/file.onnx")
        #expect(reports.wait(changed: "file.onnx"))
        folder.remove("root/file.onnx")
        #expect(reports.wait(changed: "file.onnx"))
        folder.link("root/linked", to: folder.full("elsewhere"))
        #expect(reports.wait(changed: "linked"))
        folder.write("elsewhere/config.pbtxt")
        #expect(reports.wait(changed: "linked"))
        watcher.close()
    }

    @Test("links that lead back or to one folder neither loop nor hide changes")
    func links() throws {
        folder.makeFolder("root")
        folder.makeFolder("root/a")
        folder.makeFolder("root/b")
        folder.makeFolder("shared")
        folder.link("root/a/up", to: folder.full("root"))
        folder.link("root/a/shared", to: folder.full("shared"))
        folder.link("root/b/shared", to: folder.full("shared"))
        let watcher = try watch("root")
        folder.write("shared/weights")
        #expect(reports.wait { $0 == .changed(["a", "b"]) })
        folder.remove("root/b/shared")
        #expect(reports.wait(changed: "b"))
        folder.write("shared/weights", [4])
        #expect(reports.wait { $0 == .changed(["a"]) })
        folder.write("root/b/config.pbtxt")
        #expect(reports.wait { $0 == .changed(["b"]) })
        watcher.close()
    }

    @Test("a folder moved out is no longer followed")
    func movedOut() throws {
        folder.makeFolder("root")
        folder.makeFolder("root/model")
        let watcher = try watch("root")
        folder.rename("root/model", "gone")
        #expect(reports.wait(changed: "model"))
        folder.write("gone/file")
        usleep(150_000)
        #expect(reports.all == [])
        watcher.close()
    }

    @Test("the folder itself may be missing, vanish, come back and be exchanged")
    func rootComesAndGoes() throws {
        let watcher = try watch("root")
        folder.makeFolder("root")
        #expect(reports.wait { $0 == .rescan })
        folder.write("root/a")
        #expect(reports.wait(changed: "a"))
        folder.remove("root")
        #expect(reports.wait { $0 == .rescan })
        folder.makeFolder("root")
        #expect(reports.wait { $0 == .rescan })
        folder.makeFolder("other")
        folder.rename("root", "old")
        folder.rename("other", "root")
        #expect(reports.wait { $0 == .rescan })
        // The loss is reported first; the new folder is watched a check later.
        let isFollowed = (0..<100).contains { _ in
            folder.write("root/b")
            return reports.wait(changed: "b", tries: 20)
        }
        #expect(isFollowed)
        watcher.close()
    }

    @Test("nothing is reported after close, which may be called twice and from a report")
    func close() throws {
        let watcher = try watch()
        watcher.close()
        watcher.close()
        folder.write("a")
        usleep(100_000)
        #expect(reports.all == [])
    }

    @Test("a report may close its own watcher")
    func closeFromReport() throws {
        final class Holder: Sendable {
            let watcher = Mutex<DirectoryWatcher?>(nil)
        }
        let holder = Holder()
        var options = DirectoryWatcher.Options()
        options.quietPeriod = .milliseconds(1)
        let reports = self.reports
        let watcher = try DirectoryWatcher(folder: folder.path, options: options) { change in
            holder.watcher.withLock { $0 }?.close()
            reports.add(change)
        }
        holder.watcher.withLock { $0 = watcher }
        folder.write("b")
        #expect(reports.wait(changed: "b"))
        folder.write("c")
        usleep(50_000)
        #expect(reports.all == [])
        holder.watcher.withLock { $0 = nil }
    }

    @Test("more folders than the limit allows are reported as a problem")
    func limit() throws {
        var options = DirectoryWatcher.Options()
        options.watchesMax = 3
        for index in 0..<5 { folder.makeFolder("model-\(index)") }
        let reports = self.reports
        let watcher = try DirectoryWatcher(folder: folder.path, options: options) { change in
            reports.add(change)
        }
        #expect(reports.wait { if case .problem = $0 { true } else { false } })
        watcher.close()
    }
}

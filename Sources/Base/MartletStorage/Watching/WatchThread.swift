// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletPlatform
internal import Glibc

/// A pipe whose reading end wakes a thread that waits in `poll`; closed when nobody holds it.
final class WakePipe: Sendable {
    let readEnd: Int32
    private let writeEnd: Int32

    init() throws(StorageError) {
        var ends: [Int32] = [-1, -1]
        let status = unsafe martlet_wake_pipe(&ends)
        guard status == 0 else {
            throw .system("make a pipe for", path: "a folder's watcher", errno: status)
        }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Makes the reading end readable for good. A full pipe is readable already.
    func signal() {
        var byte: UInt8 = 1
        _ = unsafe write(writeEnd, &byte, 1)
    }
}

/// A system thread that runs one closure.
@safe struct WatchThread: Sendable {
    private let handle: pthread_t

    init(path: String, _ body: @escaping @Sendable () -> Void) throws(StorageError) {
        var handle = pthread_t()
        let box = unsafe Unmanaged.passRetained(ThreadBody(body))
        let status = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            unsafe box.release()
            throw .system("start a thread to watch", path: path, errno: status)
        }
        self.handle = handle
    }

    /// Waits for the thread's end; on the thread itself, lets it end by itself.
    func join() {
        if pthread_equal(pthread_self(), handle) != 0 {
            pthread_detach(handle)
        } else {
            pthread_join(handle, nil)
        }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}

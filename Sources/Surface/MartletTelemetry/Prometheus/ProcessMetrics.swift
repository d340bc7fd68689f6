// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// What the kernel says of this process, under the names that Prometheus' own clients use.
public struct ProcessMetrics: Sendable {
    private let startSeconds: Double

    /// - Parameter startSeconds: when the process started, in seconds since the epoch.
    public init(startSeconds: Double) {
        self.startSeconds = startSeconds
    }

    /// Appends CPU time, resident memory, open file descriptors and start time.
    public func write(into text: inout String) {
        var usage = rusage()
        if unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
            let cpu =
                Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
                + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
            text += "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total \(cpu)\n"
        }
        if let pages = residentPages() {
            let bytes = pages * sysconf(Int32(_SC_PAGESIZE))
            text +=
                "# TYPE process_resident_memory_bytes gauge\n"
                + "process_resident_memory_bytes \(bytes)\n"
        }
        if let count = openFileCount() {
            text += "# TYPE process_open_fds gauge\nprocess_open_fds \(count)\n"
        }
        text +=
            "# TYPE process_start_time_seconds gauge\n"
            + "process_start_time_seconds \(startSeconds)\n"
    }

    private func residentPages() -> Int? {
        let descriptor = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = unsafe buffer.withUnsafeMutableBytes {
            unsafe read(descriptor, $0.baseAddress, $0.count)
        }
        guard count > 0 else { return nil }
        let fields = buffer[..<count].split(separator: UInt8(ascii: " "))
        guard fields.count > 1 else { return nil }
        return Int(String(decoding: fields[1], as: UTF8.self))
    }

    private func openFileCount() -> Int? {
        guard let directory = unsafe opendir("/proc/self/fd") else { return nil }
        defer { unsafe closedir(directory) }
        var count = 0
        while unsafe readdir(directory) != nil { count += 1 }
        // ".", ".." and the descriptor of the listing itself.
        return max(0, count - 3)
    }
}

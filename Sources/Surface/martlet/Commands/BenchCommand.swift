// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Glibc
internal import MartletEngine
internal import MartletTensor

/// `martlet bench MODEL`: how fast a model runs on this machine, without any server.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a model's load time, latency, throughput and memory.",
        discussion: """
            Dimensions that vary take --batch (the first) and --sequence (the others), or a whole \
            shape is given by name:

              martlet bench model.onnx
              martlet bench all-MiniLM-L6-v2 --batch 8 --sequence 128 --profile
              martlet bench model.onnx --shape image=1x3x640x640 --threads 1
            """)

    @OptionGroup var options: MeasureOptions

    @Option(help: "How long to measure, in seconds.")
    var seconds = 3.0

    @Flag(help: "Also show where the time goes, by operator.")
    var profile = false

    func run() async throws {
        try options.check()
        guard seconds > 0, seconds <= 3_600 else {
            throw CommandFailure("--seconds must be positive and at most 3600")
        }
        let work = self
        try await OwnThread.run { try work.measure() }
    }

    private func measure() throws {
        let clock = ContinuousClock()
        let begun = clock.now
        let session = try options.load()
        let context = try session.makeContext()
        let inputs = try options.inputs(session.signature)
        var outputs: [Tensor] = []
        let loaded = clock.now
        try context.run(inputs, outputs: &outputs, cancellation: nil)
        let first = clock.now
        print("load         \(milliseconds(begun.duration(to: loaded)))")
        print("first run    \(milliseconds(loaded.duration(to: first)))")
        for (spec, tensor) in zip(session.signature.inputs, inputs) {
            print("input        \(spec.name) \(tensor.elementType) \(tensor.shape)")
        }
        let profiled = profile ? session as? any ProfilingSession : nil
        try profiled?.startProfile()
        var times: [Duration] = []
        let end = clock.now.advanced(by: .seconds(seconds))
        // Runs shorter than this are timed several at once: a look at the clock takes as long.
        let group = max(1, Int(Duration.microseconds(20) / (try quickest(context, inputs))))
        repeat {
            let start = clock.now
            for _ in 0..<group {
                try context.run(inputs, outputs: &outputs, cancellation: nil)
            }
            times.append(start.duration(to: clock.now) / group)
        } while clock.now < end
        report(times, runs: times.count * group)
        if let steps = try profiled?.stopProfile() {
            print(ProfileTable(steps, peak: nil).text(steps.operators))
        }
    }

    private func quickest(_ context: any ExecutionContext, _ inputs: [Tensor]) throws -> Duration {
        var outputs: [Tensor] = []
        var best = Duration.seconds(3_600)
        for _ in 0..<3 {
            let time = try ContinuousClock().measure {
                try context.run(inputs, outputs: &outputs, cancellation: nil)
            }
            best = min(best, max(time, .nanoseconds(20)))
        }
        return best
    }

    private func report(_ times: [Duration], runs: Int) {
        let sorted = times.sorted()
        let total = times.reduce(Duration.zero, +)
        func quantile(_ share: Double) -> String {
            milliseconds(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))])
        }
        print("runs         \(runs)")
        print("latency      p50 \(quantile(0.5))   p90 \(quantile(0.9))   p99 \(quantile(0.99))")
        let rate = Double(times.count * options.batch) / (total / .seconds(1))
        print("throughput   \((rate * 10).rounded() / 10) rows/s")
        var usage = rusage()
        if unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
            print("peak memory  \(usage.ru_maxrss / 1024) MiB")
        }
    }

    private func milliseconds(_ duration: Duration) -> String {
        let value = duration / .milliseconds(1)
        // Three digits behind the point, and of what is short five.
        let scale = value < 0.1 ? 100_000.0 : 1_000
        return "\((value * scale).rounded() / scale) ms"
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletEngine
internal import MartletTensor

/// `martlet profile MODEL`: where a model's time goes, on either engine.
struct ProfileCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "Time a model's operators: calls, mean, deviation, share, rates.",
        discussion: """
            GFLOP/s counts multiplications and additions of products and convolutions, GB/s what \
            inputs and outputs hold. For the native engine both are compared with what this \
            machine's processors do at best, measured just before.

              martlet profile model.onnx
              martlet profile model.onnx --engine onnxruntime
              martlet profile model.onnx --nodes --top 20
            """)

    @OptionGroup var options: MeasureOptions

    @Option(help: "How many runs to time, after two that are not.")
    var runs = 20

    @Flag(help: "A line for each node instead of each operator.")
    var nodes = false

    @Option(help: "Lines to show.")
    var top = 40

    func run() async throws {
        try options.check()
        guard (1...1_000_000).contains(runs), top > 0 else {
            throw CommandFailure("--runs takes 1 to 1000000, --top a positive number")
        }
        let work = self
        try await OwnThread.run { try work.measure() }
    }

    private func measure() throws {
        let session = try options.load()
        guard let session = session as? any ProfilingSession else {
            throw CommandFailure("this engine cannot time its operators")
        }
        let inputs = try options.inputs(session.signature)
        let context = try session.makeContext()
        var outputs: [Tensor] = []
        for _ in 0..<2 { try context.run(inputs, outputs: &outputs, cancellation: nil) }
        let peak =
            session is NativeSession
            ? MachinePeak.operationsPerSecond(threads: options.threads ?? 0) : nil
        try session.startProfile()
        for _ in 0..<runs { try context.run(inputs, outputs: &outputs, cancellation: nil) }
        guard let profile = try session.stopProfile() else { return }
        let entries = nodes ? profile.entries : profile.operators
        let table = ProfileTable(profile, peak: peak)
        print(table.text(Array(entries.prefix(top))))
        let total = profile.microseconds / Double(runs)
        print("\n\(ProfileTable.rounded(total)) µs a run in operators, \(runs) runs")
        if let peak { print("peak \(ProfileTable.rounded(peak / 1e9)) GFLOP/s f32, measured") }
    }
}

/// A profile as lines of text.
struct ProfileTable {
    let profile: EngineProfile
    /// Operations a second that the machine does at best.
    let peak: Double?

    init(_ profile: EngineProfile, peak: Double?) {
        self.profile = profile
        self.peak = peak
    }

    func text(_ entries: [EngineProfile.Entry]) -> String {
        var header = ["share %", "calls", "mean µs", "sigma µs", "GFLOP/s", "GB/s"]
        if peak != nil { header.append("of peak %") }
        let rows = [header + ["operator"]] + entries.map(cells)
        // The last column is text of any length.
        let widths = header.indices.map { column in
            rows.reduce(0) { max($0, $1[column].count) }
        }
        return rows.map { row in
            let numbers = zip(row, widths).map { cell, width in
                String(repeating: " ", count: width - cell.count) + cell
            }
            return (numbers + [row[row.count - 1]]).joined(separator: "  ")
        }.joined(separator: "\n")
    }

    private func cells(_ entry: EngineProfile.Entry) -> [String] {
        let rate = entry.operationsPerSecond
        var cells = [
            Self.rounded(profile.share(of: entry) * 100), "\(entry.calls)",
            Self.rounded(entry.meanMicroseconds), Self.rounded(entry.sigmaMicroseconds),
            rate.map { Self.rounded($0 / 1e9) } ?? "–",
            entry.bytesPerSecond.map { Self.rounded($0 / 1e9) } ?? "–",
        ]
        if let peak { cells.append(rate.map { Self.rounded($0 / peak * 100) } ?? "–") }
        return cells + [entry.name]
    }

    /// With one decimal.
    static func rounded(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Reads vLLM's `vllm:lora_requests_info`, a gauge whose labels say which adapters run and wait,
/// and whose value is the time when that was so: old lines stay on the page.
struct AdapterMetrics {
    static let name = Array("vllm:lora_requests_info".utf8)

    /// The latest line of each engine.
    private var latest: [String: (time: Double, report: AdapterReport)] = [:]

    init() {}

    /// - Parameters:
    ///   - labels: what stands between the braces.
    ///   - value: the number behind them.
    mutating func add(_ labels: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) {
        guard let time = Double(String(decoding: value, as: UTF8.self)), time.isFinite,
            let pairs = AdapterMetrics.pairs(labels)
        else { return }
        let engine = pairs["engine"] ?? ""
        if let known = latest[engine] {
            if known.time > time { return }
        } else if latest.count == 64 {
            return
        }
        let names = ["running_lora_adapters", "waiting_lora_adapters"]
            .flatMap { (pairs[$0] ?? "").split(separator: ",") }
            .map { $0.trimming(" ") }
            .filter { !$0.isEmpty && $0.utf8.count <= AdapterReport.nameBytesMax }
        latest[engine] = (
            time,
            AdapterReport(
                names: Array(names.prefix(AdapterReport.namesMax)),
                slots: pairs["max_lora"].flatMap { Int($0) })
        )
    }

    /// Of all engines together; nil when there was no line.
    var report: AdapterReport? {
        guard !latest.isEmpty else { return nil }
        var names: [String] = []
        var slots: Int?
        for engine in latest.keys.sorted() {
            guard let report = latest[engine]?.report else { continue }
            names += report.names.filter { !names.contains($0) }
            if let more = report.slots, (0...1_000_000).contains(more) {
                slots = (slots ?? 0) + more
            }
        }
        return AdapterReport(
            names: Array(names.prefix(AdapterReport.namesMax)), slots: slots)
    }

    /// `name="value"`, with commas between; nil for anything else.
    private static func pairs(_ labels: ArraySlice<UInt8>) -> [String: String]? {
        var found: [String: String] = [:]
        var place = labels.startIndex
        while place < labels.endIndex {
            guard let equals = labels[place...].firstIndex(of: UInt8(ascii: "=")),
                equals + 1 < labels.endIndex, labels[equals + 1] == UInt8(ascii: "\"")
            else { return nil }
            let name = String(decoding: labels[place..<equals], as: UTF8.self).trimming(" ")
            var value: [UInt8] = []
            place = equals + 2
            while place < labels.endIndex, labels[place] != UInt8(ascii: "\"") {
                if labels[place] == UInt8(ascii: "\\"), place + 1 < labels.endIndex {
                    place += 1
                    value.append(labels[place] == UInt8(ascii: "n") ? 0x0A : labels[place])
                } else {
                    value.append(labels[place])
                }
                place += 1
            }
            guard place < labels.endIndex else { return nil }
            found[String(name)] = String(decoding: value, as: UTF8.self)
            place += 1
            while place < labels.endIndex,
                labels[place] == UInt8(ascii: ",") || labels[place] == 0x20
            { place += 1 }
        }
        return found
    }
}

extension StringProtocol {
    /// Without these at its ends.
    fileprivate func trimming(_ character: Character) -> String {
        var rest = self[...]
        while rest.first == character { rest = rest.dropFirst() }
        while rest.last == character { rest = rest.dropLast() }
        return String(rest)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

extension ComparisonReport {
    /// A table for people: a summary, the paths that differ, the worst cases.
    package func table(rowsMax: Int = 40) -> String {
        var lines = [
            "\(exchanges) exchanges, \(equalExchanges) without a difference; "
                + (noiseExchanges > 0
                    ? "noise measured in \(noiseExchanges)" : "noise was not measured")
        ]
        lines += failureLines
        lines.append(
            "latency  primary \(mean(primaryLatency)), candidate \(mean(candidateLatency))")
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            if let one = primaryLatencies.quantile(share),
                let other = candidateLatencies.quantile(share)
            {
                lines.append("  \(name)    primary \(text(one)) ms, candidate \(text(other)) ms")
            }
        }
        if firstBytes > 0 {
            lines.append(
                "first    primary \(mean(primaryFirstByte, firstBytes)), candidate "
                    + "\(mean(candidateFirstByte, firstBytes)) to the first byte")
        }
        if primaryTokens + candidateTokens > 0 {
            lines.append("tokens   primary \(primaryTokens), candidate \(candidateTokens)")
        }
        if primaryCost + candidateCost > 0 {
            lines.append(
                "cost     primary \(money(primaryCost)), candidate \(money(candidateCost))")
        }
        if let share = meanTextShare {
            lines.append("texts    \(percent(share)) of the words differ")
        }
        if tensorCount > 0 {
            lines.append(
                "tensors  \(tensorsOutside) of \(tensorCount) out of tolerance"
                    + (cosineLeast.map { ", least cosine \(($0 * 1e6).rounded() / 1e6)" } ?? ""))
        }
        if codeBlocks > 0 {
            lines.append(
                "code     \(codeDiffering) of \(codeBlocks) blocks differ"
                    + (codeUnparsed > 0 ? ", \(codeUnparsed) compared as text" : ""))
        }
        let rows = rows
        if !rows.isEmpty {
            let width = rows.prefix(rowsMax).reduce(4) { max($0, $1.pattern.count) }
            lines.append("")
            lines.append(pad("path", width) + "  candidate     noise  charged  kinds")
            for row in rows.prefix(rowsMax) {
                let noise =
                    noiseExchanges > 0
                    ? percent(Double(row.noise) / Double(noiseExchanges)) : "-"
                lines.append(
                    pad(row.pattern, width)
                        + lead(percent(Double(row.candidate) / Double(max(exchanges, 1))), 11)
                        + lead(noise, 10) + lead(row.isCharged ? "yes" : "no", 9) + "  "
                        + row.kinds.joined(separator: ", "))
            }
            if rows.count > rowsMax { lines.append("… and \(rows.count - rowsMax) more paths") }
        }
        if uncounted > 0 { lines.append("\(uncounted) differences on further paths") }
        if !worst.isEmpty {
            lines.append("")
            lines.append("worst cases")
            for sample in worst.prefix(5) {
                let first = sample.differences.first.map { "\($0.path) \($0.kind.rawValue)" }
                lines.append("  \(sample.id)  \(text(sample.severity))  \(first ?? "code")")
            }
        }
        return lines.joined(separator: "\n")
    }

    package var json: JSONValue {
        var object = JSONObject()
        object["exchanges"] = .integer(Int64(exchanges))
        object["equal"] = .integer(Int64(equalExchanges))
        object["noise_exchanges"] = .integer(Int64(noiseExchanges))
        if failed > 0 { object["failures"] = failuresJSON }
        object["latency_ms"] = both(
            primaryLatency / .milliseconds(1) / Double(max(exchanges, 1)),
            candidateLatency / .milliseconds(1) / Double(max(exchanges, 1)))
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            object["latency_\(name)_ms"] = both(
                primaryLatencies.quantile(share) ?? 0, candidateLatencies.quantile(share) ?? 0)
        }
        if firstBytes > 0 {
            object["first_byte_ms"] = both(
                primaryFirstByte / .milliseconds(1) / Double(firstBytes),
                candidateFirstByte / .milliseconds(1) / Double(firstBytes))
        }
        if primaryTokens + candidateTokens > 0 {
            object["tokens"] = both(Double(primaryTokens), Double(candidateTokens))
        }
        if primaryCost + candidateCost > 0 {
            object["cost"] = both(Double(primaryCost) / 1e6, Double(candidateCost) / 1e6)
        }
        if let share = meanTextShare { object["words_differing"] = .number(share) }
        if tensorCount > 0 {
            object["tensors"] = [
                "count": .integer(Int64(tensorCount)), "outside": .integer(Int64(tensorsOutside)),
                "cosine_least": cosineLeast.map { .number($0) } ?? .null,
            ]
        }
        if codeBlocks > 0 {
            object["code"] = [
                "blocks": .integer(Int64(codeBlocks)), "differing": .integer(Int64(codeDiffering)),
                "unparsed": .integer(Int64(codeUnparsed)),
            ]
        }
        object["paths"] = .array(
            rows.map { row in
                [
                    "path": .string(row.pattern), "kinds": .array(row.kinds.map { .string($0) }),
                    "candidate": .integer(Int64(row.candidate)),
                    "noise": .integer(Int64(row.noise)), "charged": .bool(row.isCharged),
                    "before": row.example.before ?? .null, "after": row.example.after ?? .null,
                ]
            })
        object["uncounted"] = .integer(Int64(uncounted))
        object["worst"] = .array(worst.map(\.json))
        return .object(object)
    }

    private var failureLines: [String] {
        guard failed > 0 else { return [] }
        return ["failed   the candidate gave no answer to \(failed) more requests"]
            + reasons.map { "  \($0.count) × \($0.reason)" }
    }

    /// Why the candidate did not answer, the most frequent first.
    var reasons: [(reason: String, count: Int)] {
        failures.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { (reason: $0.key, count: $0.value) }
    }

    var failuresJSON: JSONValue {
        var object = JSONObject()
        for (reason, count) in reasons { object[reason] = .integer(Int64(count)) }
        return .object(object)
    }

    private func both(_ primary: Double, _ candidate: Double) -> JSONValue {
        ["primary": .number(primary), "candidate": .number(candidate)]
    }

    private func mean(_ total: Duration, _ count: Int? = nil) -> String {
        "\(text(total / .milliseconds(1) / Double(max(count ?? exchanges, 1)))) ms"
    }

    private func text(_ number: Double) -> String { "\((number * 100).rounded() / 100)" }

    private func money(_ millionths: Int64) -> String { "\(Double(millionths) / 1e6)" }

    private func percent(_ share: Double) -> String { "\((share * 1_000).rounded() / 10) %" }

    private func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(width - text.count, 0))
    }

    private func lead(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(width - text.count, 0)) + text
    }
}

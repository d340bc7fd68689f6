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
        lines.append(
            "latency  primary \(mean(primaryLatency)), candidate \(mean(candidateLatency))")
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
            lines.append("worst: " + worst.prefix(5).map(\.id).joined(separator: ", "))
        }
        return lines.joined(separator: "\n")
    }

    package var json: JSONValue {
        var object = JSONObject()
        object["exchanges"] = .integer(Int64(exchanges))
        object["equal"] = .integer(Int64(equalExchanges))
        object["noise_exchanges"] = .integer(Int64(noiseExchanges))
        object["paths"] = .array(
            rows.map { row in
                [
                    "path": .string(row.pattern), "kinds": .array(row.kinds.map { .string($0) }),
                    "candidate": .integer(Int64(row.candidate)),
                    "noise": .integer(Int64(row.noise)), "charged": .bool(row.isCharged),
                    "before": row.example.before ?? .null, "after": row.example.after ?? .null,
                ]
            })
        object["worst"] = .array(
            worst.map { ["id": .string($0.id), "severity": .number($0.severity)] })
        return .object(object)
    }

    private func mean(_ total: Duration) -> String {
        let milliseconds = total / .milliseconds(1) / Double(max(exchanges, 1))
        return "\((milliseconds * 100).rounded() / 100) ms"
    }

    private func money(_ millionths: Int64) -> String { "\(Double(millionths) / 1e6)" }

    private func percent(_ share: Double) -> String { "\((share * 1_000).rounded() / 10) %" }

    private func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(width - text.count, 0))
    }

    private func lead(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(width - text.count, 0)) + text
    }
}

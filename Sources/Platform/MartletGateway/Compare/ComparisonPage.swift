// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// A comparison's report as one HTML page without anything from elsewhere; light and dark.
package struct ComparisonPage {
    private let name: String
    private let report: JSONValue
    private var html = ""

    /// - Parameter report: as `ComparisonReport.json` has it; members that are missing or of
    ///   another type are left out.
    package static func html(_ report: JSONValue, name: String) -> String {
        var page = ComparisonPage(name: name, report: report)
        page.write()
        return page.html
    }

    private init(name: String, report: JSONValue) {
        self.name = name
        self.report = report
    }

    private mutating func write() {
        html = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(ComparisonPage.escaped(name)): compared</title>
            <style>\(ComparisonPage.style)</style></head><body><main>
            <header><p class="kicker">Martlet comparison</p>
            <h1>\(ComparisonPage.escaped(name))</h1>
            <p class="lead">\(lead)</p></header>

            """
        writeFigures()
        writePaths()
        writeWorst()
        html += "</main></body></html>\n"
    }

    private var lead: String {
        let exchanges = integer(report["exchanges"])
        let charged = (report["paths"]?.arrayValue ?? []).count { $0["charged"] == true }
        let verdict =
            exchanges == 0
            ? report["failures"] == nil
                ? "Nothing has been compared yet." : "The candidate has answered nothing yet."
            : charged == 0
                ? "No difference is charged to the candidate."
                : "\(charged) path\(charged == 1 ? " is" : "s are") charged to the candidate."
        let noise = integer(report["noise_exchanges"])
        return verdict + " "
            + (noise > 0
                ? "The primary was asked twice in \(noise) exchanges: what differs between its "
                    + "own answers as well is noise."
                : "The primary's own noise was not measured.")
    }

    // MARK: Figures

    private mutating func writeFigures() {
        html += "<section class=\"figures\">\n"
        let exchanges = integer(report["exchanges"])
        figure("exchanges", "\(exchanges)", "\(integer(report["equal"])) without a difference")
        let failures = report["failures"]?.objectValue ?? JSONObject()
        if !failures.isEmpty {
            let reasons = failures.map { "\(integer($0.1)) × \($0.0)" }
            figure(
                "without an answer",
                "\(failures.reduce(0) { $0 + integer($1.1) })", reasons.joined(separator: "; "))
        }
        pair("mean latency", "latency_ms", "ms", isLessBetter: true)
        pair("p99 latency", "latency_p99_ms", "ms", isLessBetter: true)
        pair("first byte", "first_byte_ms", "ms", isLessBetter: true)
        pair("tokens", "tokens", "", isLessBetter: true)
        pair("cost", "cost", "", isLessBetter: true)
        if let share = report["words_differing"]?.doubleValue {
            figure("words that differ", percent(share), "of the answers' texts")
        }
        if let tensors = report["tensors"] {
            let cosine = tensors["cosine_least"]?.doubleValue.map {
                "least cosine \(number($0, 6))"
            }
            figure(
                "tensors out of tolerance",
                "\(integer(tensors["outside"])) / \(integer(tensors["count"]))", cosine ?? "")
        }
        if let code = report["code"] {
            let unparsed = integer(code["unparsed"])
            figure(
                "code blocks that differ",
                "\(integer(code["differing"])) / \(integer(code["blocks"]))",
                unparsed > 0 ? "\(unparsed) compared as text" : "compared as trees")
        }
        html += "</section>\n"
    }

    private mutating func figure(_ label: String, _ value: String, _ note: String) {
        html += """
            <div class="figure"><span>\(label)</span><b>\(ComparisonPage.escaped(value))</b>\
            <small>\(ComparisonPage.escaped(note))</small></div>

            """
    }

    private mutating func pair(
        _ label: String, _ member: String, _ unit: String, isLessBetter: Bool
    ) {
        guard let one = report[member]?["primary"]?.doubleValue,
            let other = report[member]?["candidate"]?.doubleValue
        else { return }
        let tail = unit.isEmpty ? "" : " " + unit
        var change = ""
        if one > 0 {
            let share = (other / one - 1) * 100
            let kind = abs(share) < 1 ? "" : (share < 0) == isLessBetter ? "good" : "bad"
            let sign = share >= 0 ? "+" : "−"
            change = ", <i class=\"\(kind)\">\(sign)\(number(abs(share), 1)) %</i>"
        }
        html += """
            <div class="figure"><span>\(label)</span><b>\(number(other, 2))\(tail)</b>\
            <small>primary \(number(one, 2))\(tail)\(change)</small></div>

            """
    }

    // MARK: Paths

    private mutating func writePaths() {
        let paths = report["paths"]?.arrayValue ?? []
        html += "<section><h2>Where they differ</h2>\n"
        guard !paths.isEmpty else {
            html += "<p class=\"empty\">Nowhere.</p></section>\n"
            return
        }
        let exchanges = Double(max(integer(report["exchanges"]), 1))
        let noises = Double(integer(report["noise_exchanges"]))
        html += """
            <div class="scroll"><table><thead><tr><th>path</th><th>how often</th><th>noise</th>\
            <th>kinds</th><th>for example</th></tr></thead><tbody>

            """
        for row in paths.prefix(200) {
            let share = Double(integer(row["candidate"])) / exchanges
            let noise = noises > 0 ? percent(Double(integer(row["noise"])) / noises) : "–"
            let isCharged = row["charged"] == true
            let kinds = (row["kinds"]?.arrayValue ?? []).compactMap(\.stringValue)
            html += """
                <tr class="\(isCharged ? "charged" : "")"><td><code>\
                \(ComparisonPage.escaped(text(row["path"])))</code></td>\
                <td><div class="bar"><i style="width:\(number(min(share, 1) * 100, 1))%"></i></div>\
                \(percent(share))</td><td>\(noise)</td>\
                <td>\(ComparisonPage.escaped(kinds.joined(separator: ", ")))</td>\
                <td class="change"><del>\(shown(row["before"]))</del> \
                <ins>\(shown(row["after"]))</ins></td></tr>

                """
        }
        html += "</tbody></table></div>"
        if paths.count > 200 { html += "<p class=\"empty\">… and \(paths.count - 200) more.</p>" }
        html += "</section>\n"
    }

    // MARK: Worst cases

    private mutating func writeWorst() {
        let worst = report["worst"]?.arrayValue ?? []
        guard !worst.isEmpty else { return }
        html += "<section><h2>Worst cases</h2>\n"
        for (index, sample) in worst.enumerated() {
            let times = sample["milliseconds"]?.arrayValue?.compactMap(\.doubleValue) ?? []
            let took =
                times.count == 2 ? "\(number(times[0], 1)) ms, \(number(times[1], 1)) ms" : ""
            html += """
                <details\(index == 0 ? " open" : "")><summary><code>\
                \(ComparisonPage.escaped(text(sample["id"])))</code>\
                <span>severity \(number(sample["severity"]?.doubleValue ?? 0, 2))</span>\
                <span>\(took)</span></summary>

                """
            writeDifferences(sample)
            html += "<div class=\"sides\">"
            for (label, member) in [
                ("request", "request"), ("primary", "before"), ("candidate", "after"),
            ] {
                let body = text(sample[member])
                guard !body.isEmpty else { continue }
                html += """
                    <figure class="\(member)"><figcaption>\(label)</figcaption>\
                    <pre>\(ComparisonPage.escaped(pretty(body)))</pre></figure>
                    """
            }
            html += "</div></details>\n"
        }
        html += "</section>\n"
    }

    private mutating func writeDifferences(_ sample: JSONValue) {
        html += "<ul>"
        for difference in sample["differences"]?.arrayValue ?? [] {
            html += """
                <li><code>\(ComparisonPage.escaped(text(difference["path"])))</code> \
                \(ComparisonPage.escaped(text(difference["kind"]))): \
                <del>\(shown(difference["before"]))</del> <ins>\(shown(difference["after"]))</ins></li>
                """
        }
        for block in sample["code"]?.arrayValue ?? [] {
            for difference in block["differences"]?.arrayValue ?? [] {
                html += """
                    <li>\(ComparisonPage.escaped(text(block["language"]))) line \
                    \(integer(difference["line"])), \
                    \(ComparisonPage.escaped(text(difference["part"]))) \
                    \(ComparisonPage.escaped(text(difference["kind"]))): \
                    <del>\(shown(difference["before"]))</del> \
                    <ins>\(shown(difference["after"]))</ins></li>
                    """
            }
        }
        html += "</ul>\n"
    }

    // MARK: Texts

    /// Documents with their members below one another.
    private func pretty(_ body: String) -> String {
        guard let value = try? JSONValue(parsing: body) else { return body }
        return ComparisonPage.indented(value, 0)
    }

    private static func indented(_ value: JSONValue, _ depth: Int) -> String {
        let space = String(repeating: "  ", count: depth + 1)
        let end = "\n" + String(repeating: "  ", count: depth)
        switch value {
        case .object(let object) where !object.isEmpty && depth < 32:
            return "{\n"
                + object.map {
                    "\(space)\(JSONValue.string($0.key)): \(indented($0.value, depth + 1))"
                }.joined(separator: ",\n") + end + "}"
        case .array(let items) where !items.isEmpty && depth < 32:
            return "[\n" + items.map { space + indented($0, depth + 1) }.joined(separator: ",\n")
                + end + "]"
        case .string(let text): return text.contains("\n") ? "\"\(text)\"" : value.description
        default: return value.description
        }
    }

    private func integer(_ value: JSONValue?) -> Int { value?.intValue ?? 0 }
    private func text(_ value: JSONValue?) -> String { value?.stringValue ?? "" }

    private func shown(_ value: JSONValue?) -> String {
        guard let value, !value.isNull else { return "" }
        let text = value.stringValue ?? value.description
        return ComparisonPage.escaped(text.count > 300 ? String(text.prefix(299)) + "…" : text)
    }

    private func percent(_ share: Double) -> String { "\(number(share * 100, 1)) %" }

    private func number(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "–" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let rounded = (value * scale).rounded() / scale
        return rounded == rounded.rounded() ? String(Int64(rounded)) : "\(rounded)"
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static let style = """
        :root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--page:#f6f7f9;--card:#fff;\
        --line:#e2e6ec;--accent:#2f6fde;--bad:#c43d3d;--good:#23824f;--badbg:#fdecec;--goodbg:#e6f5ec}
        @media(prefers-color-scheme:dark){:root{--ink:#e5eaf1;--soft:#94a1b3;--page:#12161c;\
        --card:#1a2028;--line:#2b343f;--accent:#6ea2ff;--bad:#ff8a85;--good:#6fd39b;\
        --badbg:#3a2022;--goodbg:#17321f}}
        *{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);\
        font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
        main{max-width:1160px;margin:0 auto;padding:40px 24px 80px}
        .kicker{margin:0;color:var(--accent);font-weight:600;letter-spacing:.08em;\
        text-transform:uppercase;font-size:12px}
        h1{margin:.1em 0 .2em;font-size:34px;line-height:1.15;letter-spacing:-.02em}
        h2{margin:44px 0 14px;font-size:20px}.lead{margin:0;color:var(--soft);max-width:70ch}
        .figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:12px;\
        margin-top:28px}
        .figure{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
        .figure span,.figure small{display:block;color:var(--soft);font-size:13px}
        .figure b{display:block;font-size:23px;font-weight:650;letter-spacing:-.01em;\
        font-variant-numeric:tabular-nums;margin:2px 0}
        .figure i{font-style:normal;font-weight:600;color:var(--soft);white-space:nowrap}
        .figure i.good{color:var(--good)}.figure i.bad{color:var(--bad)}
        .scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px}
        table{border-collapse:collapse;width:100%;font-size:14px}
        th{text-align:left;color:var(--soft);font-weight:600;font-size:12px;padding:10px 14px}
        td{border-top:1px solid var(--line);padding:9px 14px;vertical-align:top;\
        font-variant-numeric:tabular-nums}
        tr.charged td:first-child{box-shadow:inset 3px 0 var(--bad)}
        code,pre{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
        .bar{width:90px;height:6px;border-radius:3px;background:var(--line);margin:7px 0 3px}
        .bar i{display:block;height:100%;border-radius:3px;background:var(--accent)}
        tr.charged .bar i{background:var(--bad)}.change{max-width:380px;overflow-wrap:anywhere}
        del{background:var(--badbg);color:var(--bad);text-decoration:none;border-radius:4px;padding:0 4px}
        ins{background:var(--goodbg);color:var(--good);text-decoration:none;border-radius:4px;padding:0 4px}
        del:empty,ins:empty{display:none}.empty{color:var(--soft)}
        details{background:var(--card);border:1px solid var(--line);border-radius:12px;margin:10px 0;\
        padding:12px 16px}summary{cursor:pointer;display:flex;gap:18px;flex-wrap:wrap}
        summary span{color:var(--soft);font-size:13px}summary code{font-weight:600}
        ul{margin:12px 0;padding-left:18px;font-size:14px}li{margin:4px 0;overflow-wrap:anywhere}
        .sides{display:grid;grid-template-columns:1fr 1fr;gap:12px}
        @media(max-width:760px){.sides{grid-template-columns:1fr}}
        figure{margin:0;min-width:0}figcaption{color:var(--soft);font-size:12px;margin-bottom:4px}
        figure.request{grid-column:1/-1}
        pre{margin:0;padding:12px;border:1px solid var(--line);border-radius:8px;background:var(--page);\
        overflow:auto;max-height:420px;white-space:pre-wrap;overflow-wrap:anywhere}
        """
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// A report as it is kept over a restart: everything that `json` for people leaves out as well.
/// Bounded as the report is; what a file has more of is dropped.
extension ComparisonReport {
    /// Cost: as long as the report: some megabytes at most.
    package var state: JSONValue {
        var object = JSONObject()
        for (name, path) in ComparisonReport.counts {
            object[name] = .integer(Int64(self[keyPath: path]))
        }
        for (name, path) in ComparisonReport.times {
            object[name] = .integer(self[keyPath: path].wholeNanoseconds)
        }
        object["primary_cost"] = .integer(primaryCost)
        object["candidate_cost"] = .integer(candidateCost)
        object["text_share"] = .number(textShare)
        object["cosine_least"] = cosineLeast.map { .number($0) } ?? .null
        for (name, sample) in [("primary", primaryLatencies), ("candidate", candidateLatencies)] {
            object[name + "_latencies"] = .array(sample.milliseconds.map { .number($0) })
        }
        var paths = JSONObject()
        for (pattern, tally) in tallies {
            paths[pattern] = [
                "kinds": .array(tally.kinds.map { .string($0.rawValue) }),
                "candidate": .integer(Int64(tally.candidate)),
                "noise": .integer(Int64(tally.noise)), "example": tally.example.state,
            ]
        }
        object["paths"] = .object(paths)
        object["worst"] = .array(worst.map(\.json))
        object["failures"] = failuresJSON
        return .object(object)
    }

    /// Nil for what is no such state.
    package init?(state: JSONValue) {
        guard case .object(let object) = state else { return nil }
        for (name, path) in ComparisonReport.counts {
            guard let count = object[name]?.intValue, count >= 0 else { return nil }
            self[keyPath: path] = count
        }
        for (name, path) in ComparisonReport.times {
            guard let time = object[name]?.intValue else { return nil }
            self[keyPath: path] = .nanoseconds(Int64(time))
        }
        primaryCost = Int64(object["primary_cost"]?.intValue ?? 0)
        candidateCost = Int64(object["candidate_cost"]?.intValue ?? 0)
        textShare = object["text_share"]?.doubleValue ?? 0
        cosineLeast = object["cosine_least"]?.doubleValue
        func sample(_ name: String) -> LatencySample {
            LatencySample(
                milliseconds: (object[name]?.arrayValue ?? []).compactMap(\.doubleValue))
        }
        primaryLatencies = sample("primary_latencies")
        candidateLatencies = sample("candidate_latencies")
        for (pattern, value) in object["paths"]?.objectValue ?? JSONObject() {
            guard tallies.count < ComparisonReport.patternsMax, let example = value["example"],
                var tally = JSONDifference(state: example, pattern: pattern).map({
                    Tally(example: $0)
                })
            else { continue }
            tally.candidate = max(value["candidate"]?.intValue ?? 0, 0)
            tally.noise = max(value["noise"]?.intValue ?? 0, 0)
            tally.kinds = Set(
                (value["kinds"]?.arrayValue ?? []).compactMap {
                    $0.stringValue.flatMap(JSONDifference.Kind.init(rawValue:))
                })
            tallies[pattern] = tally
        }
        for (reason, value) in object["failures"]?.objectValue ?? JSONObject() {
            guard failures.count <= ComparisonReport.reasonsMax, let count = value.intValue,
                count > 0
            else { continue }
            failures[String(reason.prefix(200))] = count
        }
        worst = (object["worst"]?.arrayValue ?? []).prefix(ComparisonReport.worstMax)
            .compactMap { ComparisonSample(json: $0) }
    }

    private static var counts: [(String, WritableKeyPath<ComparisonReport, Int>)] {
        [
            ("exchanges", \.exchanges), ("noise_exchanges", \.noiseExchanges),
            ("equal", \.equalExchanges), ("uncounted", \.uncounted),
            ("tensors_outside", \.tensorsOutside), ("tensors", \.tensorCount),
            ("primary_tokens", \.primaryTokens), ("candidate_tokens", \.candidateTokens),
            ("code_blocks", \.codeBlocks), ("code_differing", \.codeDiffering),
            ("code_unparsed", \.codeUnparsed), ("first_bytes", \.firstBytes), ("texts", \.texts),
        ]
    }

    private static var times: [(String, WritableKeyPath<ComparisonReport, Duration>)] {
        [
            ("primary_ns", \.primaryLatency), ("candidate_ns", \.candidateLatency),
            ("primary_first_ns", \.primaryFirstByte),
            ("candidate_first_ns", \.candidateFirstByte),
        ]
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: Int64 {
        let nanoseconds = self / .nanoseconds(1)
        return Int64(exactly: nanoseconds.rounded()) ?? .max
    }
}

extension JSONDifference {
    /// Values are there or not: `null` is one.
    fileprivate var state: JSONValue {
        var object = JSONObject()
        object["kind"] = .string(kind.rawValue)
        object["path"] = .string(path)
        object["before"] = before
        object["after"] = after
        return .object(object)
    }

    fileprivate init?(state: JSONValue, pattern: String) {
        guard let kind = state["kind"]?.stringValue.flatMap(Kind.init(rawValue:)),
            let path = state["path"]?.stringValue
        else { return nil }
        self.init(
            kind: kind, path: path, pattern: pattern,
            before: state["before"].map { ComparisonSample.short($0) },
            after: state["after"].map { ComparisonSample.short($0) })
    }
}

extension ComparisonSample {
    /// A case that was kept; its differences are known by their path alone.
    fileprivate init?(json: JSONValue) {
        guard let id = json["id"]?.stringValue, let severity = json["severity"]?.doubleValue else {
            return nil
        }
        func text(_ name: String) -> String {
            ComparisonSample.beginning(Array((json[name]?.stringValue ?? "").utf8))
        }
        self.id = id
        self.severity = severity
        request = text("request")
        before = text("before")
        after = text("after")
        let times = (json["milliseconds"]?.arrayValue ?? []).compactMap(\.doubleValue)
        primaryMilliseconds = times.first ?? 0
        candidateMilliseconds = times.count > 1 ? times[1] : 0
        differences = (json["differences"]?.arrayValue ?? [])
            .prefix(ComparisonSample.differencesMax)
            .compactMap { JSONDifference(state: $0, pattern: $0["path"]?.stringValue ?? "") }
        code = (json["code"]?.arrayValue ?? []).prefix(4).map(CodeComparison.init(json:))
    }
}

extension CodeComparison {
    fileprivate init(json: JSONValue) {
        let differences = (json["differences"]?.arrayValue ?? [])
            .prefix(ComparisonSample.differencesMax).compactMap { value -> CodeDifference? in
                guard
                    let kind = value["kind"]?.stringValue.flatMap(CodeDifference.Kind.init),
                    let part = value["part"]?.stringValue.flatMap(CodeDifference.Part.init)
                else { return nil }
                return CodeDifference(
                    kind: kind, part: part, before: value["before"]?.stringValue,
                    after: value["after"]?.stringValue, line: value["line"]?.intValue ?? 0)
            }
        self.init(
            language: json["language"]?.stringValue ?? "",
            isParsed: json["parsed"] == true, differences: differences)
    }
}

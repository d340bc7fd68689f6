// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletResilience
internal import MartletYAML

/// One whole, immutable state of the gateway's rules. Requests in flight keep theirs; a change is
/// a new snapshot.
///
/// Routing is a hash by model name and path, then the few rules of that list in order: its cost
/// does not depend on how many rules there are, and it allocates nothing.
package final class RoutingSnapshot: Sendable {
    package let tables: RoutingTables
    /// What is allowed but looks like a mistake.
    package let warnings: [String]

    init(tables: RoutingTables, warnings: [String] = []) {
        self.tables = tables
        self.warnings = warnings
    }

    /// Reads, checks and compiles a gateway.yaml.
    /// - Throws: `GatewayConfigurationError` with everything that is wrong, by line; `file` is
    ///   named as the source.
    package convenience init(
        yaml bytes: [UInt8], file: String
    ) throws(GatewayConfigurationError) {
        let problems = ProblemList()
        var reader = GatewayConfigurationReader(problems)
        reader.read(bytes)
        var compiler = RoutingCompiler(reader.configuration, problems)
        compiler.compile()
        guard problems.problems.isEmpty else {
            throw GatewayConfigurationError(
                problems: problems.problems.map { problem in
                    var problem = problem
                    problem.source = file
                    return problem
                }
                .sorted { ($0.position?.line ?? 0) < ($1.position?.line ?? 0) })
        }
        self.init(tables: compiler.tables, warnings: compiler.warnings)
    }

    /// The same rules with an experiment's shares changed: what progressive delivery does.
    ///
    /// With two arms, whoever was at the arm that grows stays there. Shares are by version label,
    /// in millionths. Nil when there is no such experiment, or the shares do not name its arms
    /// and sum to the whole.
    package func settingShares(
        _ shares: [String: Int], experiment: String
    ) -> RoutingSnapshot? {
        guard let split = tables.splits.first(where: { $0.experiment == experiment }),
            shares.count == split.arms.count, shares.values.allSatisfy({ $0 >= 0 })
        else { return nil }
        var changed = tables
        var sum = 0
        for arm in split.arms {
            guard let share = shares[tables.versions[tables.arms[arm].version].label],
                share <= Int(StableHash.parts)
            else { return nil }
            sum += share
            changed.arms[arm].upTo = sum
        }
        guard sum == Int(StableHash.parts) else { return nil }
        return RoutingSnapshot(tables: changed, warnings: warnings)
    }

    /// The same rules with another door.
    package func listening(host: String?, port: Int?) -> RoutingSnapshot {
        var changed = tables
        if let host { changed.listen.host = host }
        if let port { changed.listen.port = port }
        changed.listenInstead = (host, port)
        return RoutingSnapshot(tables: changed, warnings: warnings)
    }

    /// Fills a request's values from anything that can be asked for them.
    package func request(
        model: String?, _ value: (Attribute) -> String?
    ) -> RoutingRequest {
        RoutingRequest(model: model, values: tables.attributes.map(value))
    }

    /// Whether a request with such a path is passed on: it asks a model, or the route that decided
    /// names its path.
    package func passesOn(_ path: UpstreamPath.Kind, _ decision: RoutingDecision) -> Bool {
        switch path {
        case .inference: true
        case .ambiguous: false
        case .other: decision.rule.map { tables.rules[$0].namesPaths } ?? false
        }
    }

    /// The models to try after one that could not answer, in order.
    package func fallbacks(ofVersion version: Int) -> [Int] {
        tables.models[tables.versions[version].model].fallbacks
    }

    /// Where a model's requests go without any rule: for fallbacks.
    /// `draw` stands in for a missing key.
    package func route(
        fallback model: Int, _ request: borrowing RoutingRequest, draw: UInt64
    ) -> RoutingDecision {
        var trace = NoTrace()
        return settle(tables.models[model].standard, nil, request, draw, &trace)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

extension GatewayConfigurationReader {
    /// `state: {redis: "redis://host:6379/0", user: gateway, password_env: REDIS_PASSWORD, …}`.
    mutating func readState(_ file: ConfigurationSection) {
        guard let node = file["state"],
            let section = ConfigurationSection(node, "state", problems)
        else { return }
        section.allow([
            "redis", "user", "password_env", "prefix", "wait", "timeout", "replicas",
        ])
        guard let url = section.requiredText("redis", "where it is, as redis://host:6379") else {
            return
        }
        guard var state = RedisURL.read(url) else {
            // It may hold a password: it is not shown.
            return problems.add(
                "redis of state must look like redis://host:6379/0 or rediss://…; user and "
                    + "password_env say who asks",
                at: section["redis"]?.position)
        }
        state.user = section.text("user")
        state.passwordVariable = section.variable("password_env")
        if let prefix = section.text("prefix") { state.prefix = prefix }
        section.duration("wait", &state.wait)
        section.duration("timeout", &state.timeout)
        if section["replicas"] != nil {
            var replicas = 1
            section.integer("replicas", 1...10_000, &replicas)
            state.replicas = replicas
        }
        if state.user != nil, state.passwordVariable == nil {
            problems.add("state has a user but no password_env", at: section.position)
        }
        configuration.state = state
    }
}

/// Addresses of Redis servers.
enum RedisURL {
    /// Reads `redis[s]://host[:port][/database]`; nil for anything else, credentials included.
    static func read(_ text: String) -> SharedStateConfiguration? {
        let isEncrypted = text.hasPrefix("rediss://")
        guard isEncrypted || text.hasPrefix("redis://") else { return nil }
        let rest = text.dropFirst(isEncrypted ? 9 : 8)
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        var database = 0
        if parts.count > 1, !parts[1].isEmpty {
            guard let number = Int(parts[1]), (0...1_000_000).contains(number) else { return nil }
            database = number
        }
        guard let address = UpstreamURL.read("http://\(parts[0])"),
            case .remote(_, let host, let port, _) = address
        else { return nil }
        let hasPort = parts[0].hasSuffix(":\(port)")
        return SharedStateConfiguration(
            host: host, port: hasPort ? port : 6_379, isEncrypted: isEncrypted,
            database: database)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletResilience
internal import MartletYAML

extension GatewayConfigurationReader {
    // MARK: Upstreams

    mutating func readUpstream(_ name: String, _ position: SourcePosition, _ node: YAMLNode) {
        let what = "upstream '\(name)'"
        var dialect = GatewayConfiguration.Upstream.Dialect.openai
        var keyVariable: String?
        var version = 1
        var asksUsage = true
        var tls = UpstreamTLSPolicy()
        let address: GatewayConfiguration.Upstream.Address?
        if let url = node.text, !node.isNull {
            address = readAddress(url, what, node.position)
        } else {
            guard let section = ConfigurationSection(node, what, problems) else { return }
            section.allow(["url", "local", "protocol", "http", "key_env", "stream_usage", "tls"])
            keyVariable = section.variable("key_env")
            section.choice("protocol", &dialect)
            section.flag("stream_usage", &asksUsage)
            if dialect == .grpc { version = 2 }
            section.integer("http", 1...2, &version)
            if dialect == .grpc, version == 1 {
                problems.add("\(what) has http: 1, but gRPC needs HTTP/2", at: position)
            }
            if section["local"] != nil, section["http"] != nil {
                problems.add("\(what) is local: no version of HTTP is spoken", at: position)
            }
            tls = readTLS(section)
            switch (section["url"], section["local"]) {
            case (.some(let node), nil):
                address = section.text("url").flatMap { readAddress($0, what, node.position) }
            case (nil, .some):
                address = section.text("local").map { .local(model: $0) }
            default:
                problems.add("\(what) needs either url or local", at: position)
                return
            }
        }
        guard let address else { return }
        if tls != UpstreamTLSPolicy(), !address.isEncrypted {
            problems.add(
                "\(what) has tls, but its address begins neither with https nor with grpcs",
                at: position)
        }
        configuration.upstreams.append(
            GatewayConfiguration.Upstream(
                name: name, position: position, address: address, dialect: dialect,
                keyVariable: keyVariable, isHTTP2: version == 2, asksUsage: asksUsage,
                tls: tls))
    }

    private func readTLS(_ upstream: ConfigurationSection) -> UpstreamTLSPolicy {
        var tls = UpstreamTLSPolicy()
        part(upstream, "tls", ["ca", "certificate", "key", "server_name"]) { section in
            tls.authorities = section.text("ca")
            tls.certificate = section.text("certificate")
            tls.key = section.text("key")
            tls.serverName = section.text("server_name")
            if (tls.certificate == nil) != (tls.key == nil) {
                problems.add(
                    "\(section.name) needs both certificate and key, or neither",
                    at: section.position)
            }
        }
        return tls
    }

    private func readAddress(
        _ url: String, _ what: String, _ position: SourcePosition
    ) -> GatewayConfiguration.Upstream.Address? {
        guard let address = UpstreamURL.read(url) else {
            problems.add(
                "\(what) has the address '\(ConfigurationExcerpt.withoutCredentials(url))'; it "
                    + "must look like http://host:8000, "
                    + "https://host/path or grpc://host:8001",
                at: position)
            return nil
        }
        return address
    }

    // MARK: Pools

    mutating func readPool(_ name: String, _ position: SourcePosition, _ node: YAMLNode) {
        let what = "pool '\(name)'"
        var pool = GatewayConfiguration.Pool(name: name, position: position)
        if let items = node.items {
            pool.members = items.compactMap { readMember($0, what) }
        } else {
            guard let section = ConfigurationSection(node, what, problems) else { return }
            section.allow([
                "members", "balance", "hash_key", "adapter_key", "slow_start", "timeout",
                "attempts", "retries",
                "breaker", "outliers", "concurrency", "health", "load",
            ])
            let members = section["members"]
            if let members, members.items == nil {
                section.wrong("members", "a list of upstreams", members)
            }
            pool.members = (members?.items ?? []).compactMap { readMember($0, what) }
            pool.policy = readPolicy(section)
        }
        if pool.members.isEmpty {
            problems.add("\(what) has no members: it could never answer", at: position)
        }
        configuration.pools.append(pool)
    }

    private func readMember(
        _ node: YAMLNode, _ what: String
    ) -> GatewayConfiguration.Pool.Member? {
        if let name = node.text, !node.isNull {
            return GatewayConfiguration.Pool.Member(upstream: name, position: node.position)
        }
        guard let section = ConfigurationSection(node, "a member of \(what)", problems) else {
            return nil
        }
        section.allow(["upstream", "weight", "priority"])
        guard let name = section.requiredText("upstream", "which one?") else { return nil }
        var member = GatewayConfiguration.Pool.Member(upstream: name, position: node.position)
        section.integer("weight", 1...1_000_000, &member.weight)
        section.integer("priority", 0...100, &member.priority)
        return member
    }

    private func readPolicy(_ pool: ConfigurationSection) -> PoolPolicy {
        var policy = PoolPolicy()
        pool.choice("balance", &policy.balance)
        policy.hashKey = pool.attribute("hash_key")
        if policy.balance == .hash, pool["hash_key"] == nil {
            problems.add(
                "\(pool.name) balances by hash but has no hash_key: \(Attribute.forms)",
                at: pool.position)
        }
        policy.adapterKey = pool.attribute("adapter_key")
        if let node = pool["adapter_key"], policy.balance != .lora {
            problems.add(
                "\(pool.name) has an adapter_key, which only balance: lora goes by",
                at: node.position)
        }
        pool.duration("slow_start", &policy.slowStart)
        pool.duration("timeout", &policy.timeout)
        pool.integer("attempts", 1...10, &policy.attempts)
        part(pool, "retries", ["share", "least_per_second", "window"]) {
            $0.number("share", 0...1, &policy.retries.share)
            $0.number("least_per_second", 0...1e6, &policy.retries.leastPerSecond)
            $0.duration("window", &policy.retries.window)
        }
        part(pool, "outliers", ["failures_in_row", "interval", "ejection", "ejected_share_max"]) {
            $0.integer("failures_in_row", 1...1_000_000, &policy.outliers.failuresInRow)
            $0.duration("interval", &policy.outliers.interval)
            $0.duration("ejection", &policy.outliers.ejectionTime)
            $0.number("ejected_share_max", 0...1, &policy.outliers.ejectedShareMax)
        }
        part(pool, "concurrency", ["max", "waiting", "wait", "adaptive"]) {
            $0.integer("max", 1...1_000_000, &policy.bulkhead.concurrencyMax)
            var isAdaptive = false
            $0.flag("adaptive", &isAdaptive)
            if isAdaptive {
                var adaptive = AdaptiveConcurrency.Policy()
                adaptive.limitMax = policy.bulkhead.concurrencyMax
                adaptive.limitMin = min(adaptive.limitMin, adaptive.limitMax)
                policy.adaptive = adaptive
            }
            $0.integer("waiting", 0...1_000_000, &policy.bulkhead.waitingMax)
            $0.duration("wait", &policy.bulkhead.waitMax)
        }
        readBreaker(pool, &policy.breaker)
        policy.health = readHealth(pool)
        policy.load = readLoad(pool)
        return policy
    }

    private func readLoad(_ pool: ConfigurationSection) -> LoadPolicy? {
        guard pool["load"] != nil else { return nil }
        var load = LoadPolicy()
        part(pool, "load", ["path", "interval", "timeout"]) { section in
            readPath(section, &load.path)
            section.duration("interval", &load.interval)
            section.duration("timeout", &load.timeout)
        }
        return load
    }

    private func readPath(_ section: ConfigurationSection, _ path: inout String) {
        guard let text = section.text("path") else { return }
        if text.hasPrefix("/"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            path = text
        } else if let node = section["path"] {
            section.wrong("path", "a path that begins with /", node)
        }
    }

    private func readBreaker(
        _ pool: ConfigurationSection, _ breaker: inout CircuitBreaker.Policy
    ) {
        let keys = [
            "window", "calls_min", "failure_share", "slow_call", "slow_share", "open", "open_max",
            "probes",
        ]
        part(pool, "breaker", keys) {
            $0.duration("window", &breaker.window)
            $0.integer("calls_min", 1...1_000_000, &breaker.callsMin)
            $0.number("failure_share", 0...1, &breaker.failureShare)
            if $0["slow_call"] != nil {
                var slow = Duration.seconds(1)
                $0.duration("slow_call", &slow)
                breaker.slowCall = slow
            }
            $0.number("slow_share", 0...1, &breaker.slowShare)
            $0.duration("open", &breaker.openTime)
            $0.duration("open_max", &breaker.openTimeMax)
            $0.integer("probes", 1...1_000, &breaker.probes)
        }
    }

    private func readHealth(_ pool: ConfigurationSection) -> HealthCheckPolicy? {
        guard pool["health"] != nil else { return nil }
        var health = HealthCheckPolicy()
        part(pool, "health", ["path", "interval", "timeout", "failures", "successes"]) { section in
            readPath(section, &health.path)
            section.duration("interval", &health.interval)
            section.duration("timeout", &health.timeout)
            section.integer("failures", 1...1_000, &health.failures)
            section.integer("successes", 1...1_000, &health.successes)
        }
        return health
    }

    private func part(
        _ parent: ConfigurationSection, _ key: String, _ keys: [String],
        _ body: (ConfigurationSection) -> Void
    ) {
        guard let node = parent[key],
            let section = ConfigurationSection(node, "\(key) of \(parent.name)", problems)
        else { return }
        section.allow(keys)
        body(section)
    }
}

/// Addresses of upstreams.
enum UpstreamURL {
    private static let ports = ["http": 80, "https": 443, "grpc": 80, "grpcs": 443]

    /// Reads `scheme://host[:port][/path]`; IPv6 hosts stand in brackets. Nil for anything else,
    /// user names and queries included.
    static func read(_ text: String) -> GatewayConfiguration.Upstream.Address? {
        guard let mark = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<mark.lowerBound].lowercased()
        guard let standard = ports[scheme] else { return nil }
        let rest = text[mark.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        let path = rest[authority.endIndex...]
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !path.contains("?"),
            !text.contains("#"), !authority.contains("@")
        else { return nil }
        var host = authority
        var port = standard
        let afterBracket = authority.lastIndex(of: "]") ?? authority.startIndex
        if let colon = authority[afterBracket...].lastIndex(of: ":") {
            guard let number = Int(authority[authority.index(after: colon)...]),
                (1...65_535).contains(number)
            else { return nil }
            port = number
            host = authority[..<colon]
        }
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { return nil }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, !host.contains("["), !host.contains("?") else { return nil }
        return .remote(
            scheme: scheme, host: String(host), port: port,
            path: path.hasSuffix("/") ? String(path.dropLast()) : String(path))
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletResilience
internal import MartletYAML

extension GatewayConfigurationReader {
    // MARK: Listen

    mutating func readListen(_ file: ConfigurationSection) {
        var listen = ListenConfiguration()
        if let node = file["listen"],
            let section = ConfigurationSection(node, "listen", problems)
        {
            section.allow([
                "host", "port", "threads", "connections", "idle", "header", "body", "write",
                "drain", "body_bytes", "kept_bytes", "searched_bytes", "certificate", "key",
                "client_ca",
            ])
            if let host = section.text("host") { listen.host = host }
            section.integer("port", 0...65_535, &listen.port)
            section.integer("threads", 1...256, &listen.threads)
            section.integer("connections", 1...1_000_000, &listen.connectionsMax)
            section.duration("idle", &listen.idle)
            section.duration("header", &listen.header)
            section.duration("body", &listen.body)
            section.duration("write", &listen.write)
            section.duration("drain", &listen.drain)
            section.integer("body_bytes", 0...(1 << 40), &listen.bodyBytesMax)
            section.integer("kept_bytes", 1_024...(64 << 20), &listen.keptBytesMax)
            section.integer("searched_bytes", 1_024...(256 << 20), &listen.searchedBytesMax)
            listen.certificate = section.text("certificate")
            listen.key = section.text("key")
            listen.clientAuthorities = section.text("client_ca")
            if listen.clientAuthorities != nil, listen.certificate == nil {
                problems.add(
                    "listen asks for client certificates but has no certificate of its own",
                    at: section.position)
            }
            if (listen.certificate == nil) != (listen.key == nil) {
                problems.add(
                    "listen needs certificate and key together", at: section.position)
            }
        }
        if let node = file["log"], let section = ConfigurationSection(node, "log", problems) {
            section.allow(["requests", "traced"])
            if let requests = section["requests"] {
                switch requests.text {
                case "true": listen.logsRequests = true
                case "false": listen.logsRequests = false
                default: section.wrong("requests", "true or false", requests)
                }
            }
            var percent = Double(listen.tracedShare) / 10_000
            section.number("traced", 0...100, &percent)
            listen.tracedShare = Int((percent * 10_000).rounded())
        }
        configuration.listen = listen
    }

    // MARK: Access

    mutating func readAccess(_ file: ConfigurationSection) {
        var access = AccessConfiguration()
        access.requiresKey = file["keys"] != nil || file["jwt"] != nil
        access.issuers = named(file, "jwt").compactMap(readIssuer)
        for entry in named(file, "keys") {
            if let key = readKey(entry) { access.keys.append(key) }
        }
        for entry in named(file, "tenants") {
            let what = "tenant '\(entry.key)'"
            guard let section = ConfigurationSection(entry.value, what, problems) else { continue }
            section.allow(["limits", "priority", "budget"])
            access.tenantBudgets[entry.key] = readBudget(section)
            access.tenantPriorities[entry.key] = readPriority(section, "priority")
            access.tenants.append((entry.key, readLimits(section) ?? LimitPolicy()))
        }
        access.standardLimits = readLimits(file)
        if let node = file["admin"], let section = ConfigurationSection(node, "admin", problems) {
            section.allow(["sha256", "listen"])
            access.adminDigests = readDigests(section)
            configuration.listen.admin = readAdminDoor(section)
        }
        readIdentity(file, &access)
        configuration.access = access
    }

    /// `listen: {host: 127.0.0.1, port: 9090}` of admin.
    private func readAdminDoor(_ admin: ConfigurationSection) -> AdminDoor? {
        guard let node = admin["listen"],
            let section = ConfigurationSection(node, "listen of admin", problems)
        else { return nil }
        section.allow(["host", "port"])
        var door = AdminDoor()
        if let host = section.text("host") { door.host = host }
        if section["port"] == nil {
            problems.add("listen of admin has no port", at: section.position)
        }
        section.integer("port", 0...65_535, &door.port)
        if door.port != 0, door.port == configuration.listen.port {
            problems.add(
                "listen and listen of admin have the same port, \(door.port)",
                at: section.position)
        }
        return door
    }

    private func readKey(_ entry: YAMLNode.Entry) -> AccessConfiguration.Key? {
        let what = "key '\(entry.key)'"
        guard let section = ConfigurationSection(entry.value, what, problems) else { return nil }
        section.allow(
            ["sha256", "certificate", "tenant", "models", "expires", "limits"]
                + ["priority", "priority_max", "budget"])
        var key = AccessConfiguration.Key(name: entry.key, position: entry.position)
        key.certificates = section.references("certificate").map(\.name)
        if section["sha256"] != nil || key.certificates.isEmpty {
            key.digests = readDigests(section)
        }
        for name in key.certificates
        where !["CN=", "DNS:", "URI:", "email:"].contains(where: name.hasPrefix) {
            problems.add(
                "certificate of \(what) takes names such as CN=alice, DNS:host, URI:spiffe://… or "
                    + "email:…, got '\(name)'",
                at: section["certificate"]?.position)
        }
        key.tenant = section.text("tenant")
        key.models = section.references("models")
        key.limits = readLimits(section)
        key.budget = readBudget(section)
        key.priority = readPriority(section, "priority")
        key.priorityMax = readPriority(section, "priority_max")
        if let node = section["expires"] {
            if let seconds = section.text("expires").flatMap(DateText.seconds) {
                key.expires = seconds
            } else {
                section.wrong("expires", "a time such as 2027-01-31T00:00:00Z", node)
            }
        }
        return key
    }

    private func readPriority(_ section: ConfigurationSection, _ key: String) -> RequestPriority? {
        guard section[key] != nil else { return nil }
        var priority = RequestPriority.normal
        section.choice(key, &priority)
        return priority
    }

    private func readDigests(_ section: ConfigurationSection) -> [Digest] {
        guard let node = section["sha256"] else {
            problems.add(
                "\(section.name) has no sha256: the digest of its secret, as "
                    + "`printf %s SECRET | sha256sum` prints it",
                at: section.position)
            return []
        }
        let texts = node.items?.map { $0.text ?? "" } ?? [node.text ?? ""]
        return texts.compactMap { text in
            guard let digest = Digest(hexadecimal: text) else {
                // The value may be the secret itself, put there by mistake: it is not shown.
                problems.add(
                    "sha256 of \(section.name) takes 64 hexadecimal digits, not the secret itself",
                    at: node.position)
                return nil
            }
            return digest
        }
    }

    private func readIdentity(_ file: ConfigurationSection, _ access: inout AccessConfiguration) {
        guard let node = file["identity"],
            let section = ConfigurationSection(node, "identity", problems)
        else { return }
        section.allow(["user", "session", "region", "device", "request"])
        for index in access.identity.indices {
            let key = access.identity[index].0.description
            guard section[key] != nil, let source = section.attribute(key) else { continue }
            access.identity[index].1 = source
        }
    }

    // MARK: Limits

    /// `limits: {requests: {max: 100, per: 1s, burst: 200}, tokens: {…}, concurrency: 8}`.
    func readLimits(_ parent: ConfigurationSection) -> LimitPolicy? {
        guard let node = parent["limits"],
            let section = ConfigurationSection(node, "limits of \(parent.name)", problems)
        else { return nil }
        section.allow(["requests", "tokens", "concurrency", "reserved_output"])
        var policy = LimitPolicy()
        policy.requests = readRate(section, "requests")
        policy.tokens = readRate(section, "tokens")
        if section["concurrency"] != nil {
            var concurrency = 0
            section.integer("concurrency", 1...1_000_000, &concurrency)
            policy.concurrency = max(concurrency, 1)
        }
        section.integer("reserved_output", 0...10_000_000, &policy.reservedOutput)
        return policy
    }

    private func readRate(
        _ parent: ConfigurationSection, _ key: String
    ) -> LimitPolicy.Rate? {
        guard let node = parent[key],
            let section = ConfigurationSection(node, "\(key) of \(parent.name)", problems)
        else { return nil }
        section.allow(["max", "per", "burst"])
        guard section["max"] != nil else {
            problems.add("\(section.name) has no max", at: node.position)
            return nil
        }
        var most = 0
        var interval = Duration.seconds(1)
        section.integer("max", 1...1_000_000_000_000, &most)
        section.duration("per", &interval)
        var burst = most
        section.integer("burst", 1...1_000_000_000_000, &burst)
        return LimitPolicy.Rate(rate: TokenBucket.Rate(most, per: interval), burst: burst)
    }
}

/// Times as configuration files have them.
enum DateText {
    /// Reads `2027-01-31` or `2027-01-31T12:00:00Z`; seconds since the epoch.
    ///
    /// Algorithm: days-from-civil (Hinnant: chrono-compatible low-level date algorithms, 2013).
    static func seconds(_ text: String) -> Int64? {
        let halves = text.split(separator: "T", omittingEmptySubsequences: false)
        let date = halves[0].split(separator: "-").compactMap { Int64($0) }
        guard date.count == 3, (1970...9999).contains(date[0]), (1...12).contains(date[1]),
            (1...31).contains(date[2]), halves.count <= 2
        else { return nil }
        var time: [Int64] = [0, 0, 0]
        if halves.count == 2 {
            guard halves[1].hasSuffix("Z") else { return nil }
            time = halves[1].dropLast().split(separator: ":").compactMap { Int64($0) }
            guard time.count == 3, (0...23).contains(time[0]), (0...59).contains(time[1]),
                (0...60).contains(time[2])
            else { return nil }
        }
        let year = date[1] <= 2 ? date[0] - 1 : date[0]
        let era = year / 400
        let yearOfEra = year - era * 400
        let monthFromMarch = (date[1] + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + date[2] - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return days * 86_400 + time[0] * 3_600 + time[1] * 60 + time[2]
    }
}

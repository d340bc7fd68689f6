// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletYAML

extension GatewayConfigurationReader {
    /// `jwt: {corp: {issuer: "https://idp", audience: gateway, keys: "https://idp/jwks", …}}`.
    func readIssuer(_ entry: YAMLNode.Entry) -> AccessConfiguration.TokenIssuer? {
        let what = "jwt '\(entry.key)'"
        guard let section = ConfigurationSection(entry.value, what, problems) else { return nil }
        section.allow([
            "issuer", "audience", "keys", "algorithms", "tenant", "models", "leeway", "refresh",
            "limits",
        ])
        guard let issuer = section.requiredText("issuer", "what tokens say in iss"),
            let keys = section.requiredText("keys", "a file or an address with the key set"),
            let source = keySource(keys, section)
        else { return nil }
        var policy = TokenPolicy(issuer: issuer)
        policy.audiences = section.references("audience").map(\.name)
        policy.tenantClaim = section.text("tenant")
        policy.modelsClaim = section.text("models")
        if section["algorithms"] != nil {
            policy.algorithms = section.references("algorithms").compactMap { reference in
                if let known = TokenAlgorithm(rawValue: reference.name) { return known }
                let names = TokenAlgorithm.allCases.map(\.rawValue)
                problems.add(
                    "algorithms of \(what) are of \(names.joined(separator: ", ")), got "
                        + "'\(reference.name)'",
                    at: reference.position)
                return nil
            }
        }
        var leeway = Duration.seconds(policy.leeway)
        section.duration("leeway", &leeway)
        policy.leeway = leeway.nanosecondsSaturating / 1_000_000_000
        var found = AccessConfiguration.TokenIssuer(
            name: entry.key, position: entry.position, policy: policy, source: source)
        section.duration("refresh", &found.refresh)
        found.limits = readLimits(section)
        return found
    }

    private func keySource(
        _ text: String, _ section: ConfigurationSection
    ) -> AccessConfiguration.TokenIssuer.Source? {
        guard text.contains("://") else { return .file(text) }
        guard let address = UpstreamURL.read(text),
            case .remote(let scheme, _, _, _) = address, scheme.hasPrefix("http")
        else {
            problems.add(
                "keys of \(section.name) must be a file or look like https://host/jwks.json",
                at: section["keys"]?.position)
            return nil
        }
        return .remote(address)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletYAML

/// Everything that is wrong with a configuration, in the file's order.
package struct GatewayConfigurationError: Error, CustomStringConvertible {
    package let problems: [ConfigurationError]

    package var description: String {
        problems.map(\.description).joined(separator: "\n")
    }
}

/// Reads gateway.yaml: keys, types and ranges. Names are resolved by `RoutingSnapshot`.
struct GatewayConfigurationReader {
    static let sections = [
        "listen", "identity", "keys", "tenants", "limits", "admin", "log", "upstreams", "pools",
        "models", "aliases", "routes", "accounting", "delivery", "feedback", "state", "jwt",
    ]

    let problems: ProblemList
    var configuration = GatewayConfiguration()

    init(_ problems: ProblemList) { self.problems = problems }

    mutating func read(_ bytes: [UInt8]) {
        let root: YAMLNode?
        do throws(ConfigurationError) {
            root = try YAMLParser.parse(bytes)
        } catch {
            problems.add(error.message, at: error.position, code: error.code)
            return
        }
        guard let root, !root.isNull else {
            problems.add(
                "the file is empty; it needs upstreams and models",
                at: SourcePosition(line: 1, column: 1))
            return
        }
        guard let file = ConfigurationSection(root, "gateway.yaml", problems) else { return }
        file.allow(GatewayConfigurationReader.sections)
        readListen(file)
        readAccess(file)
        readState(file)
        for entry in named(file, "upstreams") {
            readUpstream(entry.key, entry.position, entry.value)
        }
        for entry in named(file, "pools") {
            readPool(entry.key, entry.position, entry.value)
        }
        for entry in named(file, "models") {
            readModel(entry.key, entry.position, entry.value)
        }
        for entry in named(file, "aliases") {
            readAlias(entry.key, entry.position, entry.value)
        }
        readRoutes(file)
        readAccounting(file)
        readDeliveryFiles(file)
    }

    /// The entries of a section whose keys are names.
    func named(_ file: ConfigurationSection, _ key: String) -> [YAMLNode.Entry] {
        guard let node = file[key], let section = ConfigurationSection(node, key, problems) else {
            return []
        }
        for entry in section.entries where entry.key.isEmpty {
            problems.add("a name in \(key) is empty", at: entry.position)
        }
        return section.entries
    }

    private mutating func readAlias(_ name: String, _ position: SourcePosition, _ node: YAMLNode) {
        guard let target = node.text, !node.isNull else {
            problems.add(
                "alias '\(name)' takes a model's name, got \(node.kind)", at: node.position)
            return
        }
        configuration.aliases.append(
            (
                GatewayConfiguration.Reference(name: name, position: position),
                GatewayConfiguration.Reference(name: target, position: node.position)
            ))
    }

    private mutating func readAccounting(_ file: ConfigurationSection) {
        guard let node = file["accounting"],
            let section = ConfigurationSection(node, "accounting", problems)
        else { return }
        section.allow(["currency", "prices", "state"])
        configuration.budgetFile = section.text("state")
        if let currency = section.text("currency") { configuration.currency = currency }
        guard let prices = section["prices"] else { return }
        switch prices.text {
        case "required": configuration.requiresPrices = true
        case "optional": configuration.requiresPrices = false
        default: section.wrong("prices", "required or optional", prices)
        }
    }
}

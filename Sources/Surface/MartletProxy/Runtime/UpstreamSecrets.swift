// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletGateway

/// The keys of upstreams, as the environment has them.
package enum UpstreamSecrets {
    /// What keeps the gateway from asking upstreams that have a key, in the file's order: a
    /// variable that is not set, or holds what no header may carry (a line's end would begin
    /// another).
    package static func problems(
        _ snapshot: RoutingSnapshot, _ secrets: (String) -> String?
    ) -> [String] {
        snapshot.tables.upstreams.compactMap { upstream in
            guard let variable = upstream.keyVariable else { return nil }
            let what = "upstream '\(upstream.name)' has key_env: \(variable), but that variable"
            guard let value = secrets(variable), !value.isEmpty else {
                return "\(what) is not set"
            }
            guard value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                return "\(what) holds a line's end, a space or another sign that no key has"
            }
            return nil
        }
    }
}

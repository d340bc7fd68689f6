// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Times as people read them.
package enum DurationLabel {
    /// "250.0 ms", "2.5 s".
    package static func of(_ duration: Duration) -> String {
        let value = duration / .milliseconds(1)
        return value >= 1_000 ? "\(value / 1_000) s" : "\(value) ms"
    }
}

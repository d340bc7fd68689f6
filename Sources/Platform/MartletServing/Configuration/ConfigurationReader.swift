// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A model's configuration as read, and what in it is not honoured.
package struct ConfigurationReading: Sendable {
    package var configuration: ModelConfiguration
    package var warnings: [String]
}

/// Reads what somebody wrote about a model.
package enum ConfigurationReader {
    /// - Throws: `ServingError.invalidArgument` naming the file, the line and the field.
    package static func read(
        _ candidate: ModelCandidate
    ) throws(ServingError) -> ConfigurationReading {
        ConfigurationReading(
            configuration: ModelConfiguration(name: candidate.name), warnings: [])
    }
}

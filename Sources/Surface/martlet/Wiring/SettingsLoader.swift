// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletConfiguration
internal import MartletStorage

/// Reads the configuration file and the environment.
enum SettingsLoader {
    static let fileName = "martlet.yaml"
    private static let fileBytesMax = 16 << 20

    /// Defaults, then `file` (or martlet.yaml here, when there is one), then the environment.
    static func load(file: String?) throws -> Settings {
        var settings = Settings()
        let path = file ?? (FileSystem.exists(fileName) ? fileName : nil)
        if let path {
            try settings.apply(
                yaml: FileSystem.readAll(path, limit: fileBytesMax), file: path)
        }
        try settings.apply(environment: environment())
        return settings
    }

    private static func environment() -> [String: String] {
        var variables: [String: String] = [:]
        var entry: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> = unsafe environ
        while let text = unsafe entry.pointee {
            let pair = unsafe String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
            unsafe entry += 1
        }
        return variables
    }
}

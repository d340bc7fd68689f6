// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletEngine
internal import MartletStorage

/// What a person says of the plan cache: "off", "on" (a folder of this user's), or a folder.
enum PlanCacheSetting {
    static func options(_ text: String, mebibytesMax: Int? = nil) throws -> PlanCacheOptions? {
        if text == "off" || text.isEmpty { return nil }
        let byteCountMax = mebibytesMax.map { $0 << 20 } ?? PlanCacheOptions.byteCountMaxDefault
        let folder = text == "on" ? try standardFolder() : text
        return PlanCacheOptions(folder: folder, byteCountMax: byteCountMax)
    }

    private static func standardFolder() throws -> String {
        if let cache = variable("XDG_CACHE_HOME") { return PathName.join(cache, "martlet/plans") }
        guard let home = variable("HOME") else {
            throw CommandFailure("the plan cache needs a folder: HOME is not set")
        }
        return PathName.join(home, ".cache/martlet/plans")
    }

    private static func variable(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// Everything that an answer depends on, whole: two requests share an answer only when all of it
/// is equal, whatever the hashes say.
package struct CacheKey: Sendable, Hashable {
    package let bytes: [UInt8]

    /// `body` is taken with its members sorted, so that their order makes no difference; any other
    /// difference does.
    package init(
        tenant: String, model: String, version: String, path: String,
        parameters: [(name: String, value: String)] = [], body: JSONValue
    ) {
        var bytes: [UInt8] = []
        for part in [tenant, model, version, path] { CacheKey.add(part.utf8, to: &bytes) }
        for parameter in parameters.sorted(by: { ($0.name, $0.value) < ($1.name, $1.value) }) {
            CacheKey.add(parameter.name.utf8, to: &bytes)
            CacheKey.add(parameter.value.utf8, to: &bytes)
        }
        CacheKey.add(CacheKey.canonical(body).serialized(), to: &bytes)
        self.bytes = bytes
    }

    /// With its length in front, so that parts cannot run into one another.
    private static func add(_ part: some Collection<UInt8>, to bytes: inout [UInt8]) {
        let count = UInt64(part.count)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: count >> shift))
        }
        bytes += part
    }

    private static func canonical(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map(canonical))
        case .object(let object):
            var sorted = JSONObject()
            for key in object.keys.sorted() {
                if let member = object[key] { sorted[key] = canonical(member) }
            }
            return .object(sorted)
        default: return value
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletWire

extension KServeRoutes {
    /// `/v2`, `/v2/health/live`, `/v2/health/ready`.
    func addHealth(to router: inout Router) {
        let host = host
        router.on(.get, "/v2/health/live") { _, responder in responder.complete(.empty()) }
        router.on(.get, "/v2/health/ready") { _, responder in
            responder.complete(.empty(host.isReady ? 200 : 400))
        }
        router.on(
            .get, "/v2",
            KServeRoutes.immediate { _ in
                let metadata = host.serverMetadata
                var writer = JSONWriter()
                writer.beginObject()
                writer.key("name")
                writer.string(metadata.name)
                writer.key("version")
                writer.string(metadata.version)
                writer.key("extensions")
                writer.strings(metadata.extensions)
                writer.endObject()
                return .json(writer.bytes)
            })
    }
}

extension JSONWriter {
    /// A list of texts.
    mutating func strings(_ values: [String]) {
        beginArray()
        for value in values { string(value) }
        endArray()
    }

    /// A list of whole numbers.
    mutating func integers(_ values: some Sequence<Int>) {
        beginArray()
        for value in values { integer(value) }
        endArray()
    }
}

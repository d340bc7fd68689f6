// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing

/// ServerLive, ServerReady and ServerMetadata.
struct ServerMethods {
    private let host: any ModelHost

    init(_ host: any ModelHost) {
        self.host = host
    }

    var all: [GRPCMethod] { [live, ready, metadata] }

    private var live: GRPCMethod {
        .immediate("ServerLive") { _, response in
            response.bool(1, true)
        }
    }

    private var ready: GRPCMethod {
        let host = host
        return .immediate("ServerReady") { _, response in
            response.bool(1, host.isReady)
        }
    }

    private var metadata: GRPCMethod {
        let host = host
        return .immediate("ServerMetadata") { _, response in
            let metadata = host.serverMetadata
            response.text(1, metadata.name)
            response.text(2, metadata.version)
            for name in metadata.extensions { response.string(3, name) }
        }
    }
}

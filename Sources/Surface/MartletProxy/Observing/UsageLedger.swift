// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletGateway
package import MartletJSON
internal import Synchronization

/// Who has used how much of what, since the process began.
package final class UsageLedger: Sendable {
    package struct Holder: Hashable, Sendable {
        var key: String?
        var tenant: String?
        var model: String
        var version: String

        package init(key: String?, tenant: String?, model: String, version: String) {
            self.key = key
            self.tenant = tenant
            self.model = model
            self.version = version
        }
    }

    private let accounts = Mutex<[Holder: UsageAccount]>([:])

    package init() {}

    /// Always the same for the same holder: event loops keep it.
    package func account(_ holder: Holder) -> UsageAccount {
        accounts.withLock { accounts in
            if let known = accounts[holder] { return known }
            let new = UsageAccount()
            accounts[holder] = new
            return new
        }
    }

    package func json(currency: String) -> JSONValue {
        let all = accounts.withLock { Array($0) }
        let rows = all.sorted {
            ($0.key.key ?? "", $0.key.model, $0.key.version)
                < ($1.key.key ?? "", $1.key.model, $1.key.version)
        }
        .map { holder, account -> JSONValue in
            let values = account.totals
            return [
                "key": holder.key.map { .string($0) } ?? .null,
                "tenant": holder.tenant.map { .string($0) } ?? .null,
                "model": .string(holder.model), "version": .string(holder.version),
                "requests": .integer(Int64(values.requests)),
                "input_tokens": .integer(Int64(values.input)),
                "output_tokens": .integer(Int64(values.output)),
                "estimated_requests": .integer(Int64(values.estimated)),
                "cached_requests": .integer(Int64(values.cached)),
                "cost": .number(Double(values.cost) / 1e12),
            ]
        }
        return ["currency": .string(currency), "usage": .array(rows)]
    }
}

/// One holder's use of one version: there is one of it, whatever changes beside it.
package final class UsageAccount: Sendable {
    private let state = Mutex(UsageTotals())

    package var totals: UsageTotals { state.withLock { $0 } }

    /// - Parameter price: of the configuration that the request went by.
    package func add(_ usage: TokenUsage, price: GatewayConfiguration.Price?) {
        state.withLock { $0.add(usage, price: price) }
    }

    func addCached() { state.withLock { $0.addCached() } }
}

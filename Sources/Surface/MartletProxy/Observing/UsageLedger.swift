// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletJSON
internal import Synchronization

/// Who has used how much of what, since the process began.
final class UsageLedger: Sendable {
    struct Holder: Hashable, Sendable {
        var key: String?
        var tenant: String?
        var model: String
        var version: String
    }

    private let accounts = Mutex<[Holder: UsageAccount]>([:])

    func account(_ holder: Holder, price: GatewayConfiguration.Price?) -> UsageAccount {
        accounts.withLock { accounts in
            if let known = accounts[holder], known.price == price { return known }
            let new = UsageAccount(price: price, after: accounts[holder])
            accounts[holder] = new
            return new
        }
    }

    func json(currency: String) -> JSONValue {
        let all = accounts.withLock { Array($0) }
        let rows = all.sorted {
            ($0.key.key ?? "", $0.key.model, $0.key.version)
                < ($1.key.key ?? "", $1.key.model, $1.key.version)
        }
        .map { holder, account -> JSONValue in
            let values = account.values
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

/// One holder's use of one version.
final class UsageAccount: Sendable {
    struct Values: Sendable {
        var requests = 0
        var input = 0
        var output = 0
        /// Requests whose upstream did not say what they used.
        var estimated = 0
        /// Requests that a kept answer served: they cost nothing.
        var cached = 0
        /// In millionths of a millionth of the currency's unit.
        var cost: Int64 = 0
    }

    let price: GatewayConfiguration.Price?
    private let state: Mutex<Values>

    init(price: GatewayConfiguration.Price?, after previous: UsageAccount?) {
        self.price = price
        state = Mutex(previous?.values ?? Values())
    }

    var values: Values { state.withLock { $0 } }

    func addCached() {
        state.withLock { values in
            values.requests += 1
            values.cached += 1
        }
    }

    func add(_ usage: TokenUsage) {
        state.withLock { values in
            values.requests += 1
            values.input += usage.input
            values.output += usage.output
            if usage.isEstimated { values.estimated += 1 }
            guard let price else { return }
            // A price is per million tokens in millionths: per token, a millionth of a millionth.
            values.cost =
                values.cost
                .addingReportingOverflow(
                    Int64(usage.input).multipliedReportingOverflow(by: price.input).partialValue
                ).partialValue
                .addingReportingOverflow(
                    Int64(usage.output).multipliedReportingOverflow(by: price.output)
                        .partialValue
                ).partialValue
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletResilience

/// What a holder's requests to one version have used together. Sums stop at their type's end.
package struct UsageTotals: Sendable, Hashable {
    package private(set) var requests = 0
    package private(set) var input = 0
    package private(set) var output = 0
    /// Requests whose upstream did not say what they used.
    package private(set) var estimated = 0
    /// Requests that a kept answer served: they cost nothing.
    package private(set) var cached = 0
    /// In millionths of a millionth of the currency's unit.
    package private(set) var cost: Int64 = 0

    package init() {}

    /// - Parameter price: the one in force for this request.
    package mutating func add(_ usage: TokenUsage, price: GatewayConfiguration.Price?) {
        requests += 1
        input = input.addingSaturating(usage.input)
        output = output.addingSaturating(usage.output)
        if usage.isEstimated { estimated += 1 }
        if let price { cost = cost.addingSaturating(price.cost(of: usage)) }
    }

    package mutating func addCached() {
        requests += 1
        cached += 1
    }
}

extension GatewayConfiguration.Price {
    /// In millionths of a millionth of the currency's unit: a price is per million tokens in
    /// millionths.
    package func cost(of usage: TokenUsage) -> Int64 {
        Int64(usage.input).multipliedSaturating(by: input)
            .addingSaturating(Int64(usage.output).multipliedSaturating(by: output))
    }
}

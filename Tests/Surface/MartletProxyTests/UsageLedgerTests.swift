// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletJSON
internal import MartletProxy
internal import Testing

@Suite("UsageLedger")
struct UsageLedgerTests {
    @Test("a changed price loses nothing that event loops add to accounts they have kept")
    func changedPrice() {
        let ledger = UsageLedger()
        let holder = UsageLedger.Holder(key: "k", tenant: nil, model: "m", version: "v")
        let kept = ledger.account(holder)
        let usage = TokenUsage(input: 10, output: 0)
        kept.add(usage, price: GatewayConfiguration.Price(input: 1_000_000, output: 0))
        let dearer = GatewayConfiguration.Price(input: 3_000_000, output: 0)
        ledger.account(holder).add(usage, price: dearer)
        kept.add(usage, price: dearer)
        let row = ledger.json(currency: "USD")["usage"]?.arrayValue?.first
        #expect(row?["requests"]?.intValue == 3)
        #expect(row?["input_tokens"]?.intValue == 30)
        #expect(row?["cost"]?.doubleValue == 70.0 / 1_000_000)
    }
}

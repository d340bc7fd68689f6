// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import Synchronization

/// What a good token says, resolved against the models that there are.
final class TokenIdentity: Sendable {
    let subject: String?
    let tenant: String?
    let models: Set<Int>?
    /// Seconds since the epoch.
    let expires: Int64
    /// The key set that it was checked with: another one checks it again.
    let generation: UInt64

    init(_ claims: TokenClaims, modelIndex: [String: Int], generation: UInt64) {
        subject = claims.subject
        tenant = claims.tenant
        models = claims.models.map { Set($0.compactMap { modelIndex[$0] }) }
        expires = claims.expires
        self.generation = generation
    }
}

/// An issuer's public keys, as they were last had. A fetch that fails leaves them as they are.
final class TokenKeys: Sendable {
    private struct State {
        var keys: KeySet?
        var generation: UInt64 = 0
        var isWanted = true
    }

    let source: AccessConfiguration.TokenIssuer.Source
    let refresh: Duration
    private let state = Mutex(State())

    init(_ issuer: AccessTable.Issuer) {
        source = issuer.source
        refresh = issuer.refresh
    }

    /// nil: none were to be had so far.
    var current: (keys: KeySet, generation: UInt64)? {
        state.withLock { state in state.keys.map { ($0, state.generation) } }
    }

    /// A token names a key that is not here: they are fetched sooner.
    func want() { state.withLock { $0.isWanted = true } }

    /// Whether somebody wanted them since this was asked last.
    func takeWish() -> Bool {
        state.withLock { state in
            defer { state.isWanted = false }
            return state.isWanted
        }
    }

    func replace(_ keys: KeySet) {
        state.withLock { state in
            state.keys = keys
            state.generation += 1
        }
    }
}

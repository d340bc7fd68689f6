// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension AddedTokens {
    init(_ field: Field?, normalizer: Normalizer?, limits: TokenizerLimits)
        throws(TokenizerError)
    {
        var tokens: [AddedToken] = []
        for element in try field?.elements() ?? [] {
            let content = try element.required("content")
            let token = AddedToken(
                id: Int32(
                    try element.required("id").integer(in: 0...(limits.vocabularySizeMax - 1))),
                content: try content.bytes(), form: try content.bytes(),
                isSpecial: try element.bool("special", default: false),
                isSingleWord: try element.bool("single_word", default: false),
                stripsLeft: try element.bool("lstrip", default: false),
                stripsRight: try element.bool("rstrip", default: false),
                isNormalized: try element.bool("normalized", default: true))
            guard token.content.count <= min(limits.tokenBytesMax, 512) else {
                throw TokenizerError(
                    .limitExceeded, "\(content.path): longer than 512 bytes")
            }
            tokens.append(token)
        }
        self.init(tokens, normalizer: normalizer)
    }
}

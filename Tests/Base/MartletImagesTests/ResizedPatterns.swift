// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Pillow's answers for `Pattern.image(13, 9)` at other sizes.
enum ResizedPatterns {
    struct Case: Sendable {
        let width: Int
        let height: Int
        let isCubic: Bool
        let pixels: String
    }

    static let cases: [Case] = [
        Case(
            width: 5, height: 4, isCubic: false,
            pixels: """
                5b9b7e887d73787d87748688858b829374757e7e72758681897282907f78787070957a908982\
                818d6d778d7684918186959b9a819a88898684898890
                """),
        Case(
            width: 20, height: 15, isCubic: false,
            pixels: """
                0053a61265b82a7dd04295e85aad9372c5188add30a29548ba0d60d22578973d900855a81a6d\
                c03285d84a9df062b5757acd2092e538aa7750bc0f62186bbe2b7ea04598845eb19e78a07792\
                7f38ac9952a0796c793386934da07b669831806f479a876198a07b6fba94817c979b546fb56e\
                7c7e888f489b3b8ee150a37c6dc01389dc2fa68c4cc21568df32859c4fa2186bbe3588db51a4\
                a46ec11a8bde31a7b44dc42a6ae03386c350a33a6dc03689dc4b9ef15eb16b75c85195d43bb4\
                905a92617a5946997865b871849e50a35d70c37c8fb07baf6c576e8874548b937367b3927f79\
                9a9e5778be778a8c96a15aad82a2289bba41b6c362b860857754912376964598b867a78d88a9\
                2f88cb519aaa74bc47965e64973378a65579c87797748eb93f8fdc62ab9269c34a69a52b4bc0\
                4766cb648b6b68b04c827e53a62c78cb519da363bc47675c6c8c3f81b16485d668a87b7a9553\
                9f3478c3497fb96e8e5a93b3649c6c809f26c91c6fb5398c9360a657878b5c845b837029ab98\
                51ac8679904d9d537582497b897160b0988578a3826689468da8617aad727671579e857274a2\
                8f48ec3f92915eb13588bb5fb23f8a7030b4075ade3184a85bae3386d25db05687872db10b57\
                dc2f82bf59ac4383d65aad6d859e2baf2255d92c7ff84b9e7662b566838e5d9d5d8a6647b845\
                5ed9378aa264b77e91aa6bba75988460935d6b5c4898867265967559813e86a65f77b175797a\
                60a6938082b4a15a3386a65690687f8c2b8e365bb2388bd267b67d97c574b49aa3be4ab1697a\
                8d56983886a7629555847938932468be447ac069946b77c466a18870c34a56a92f7b6d3c942d\
                54413e864666b97498dc85ca89aab070d761828572b46494a475c651a6795fa0517f4d62b170\
                906d989449a8427b695a922d809f7acd20a17a47b6297c445eb14093bb75c0a9aab37bb99386\
                ab68b87c9daa7fb18cb4a35ea9768f8e72a85fa79b88a170a78864995999717b984fa28f9df0\
                43c69f6cde51a46f89dc6ec1a7a5e54bdd7783b568bb4da0ed85d87ebdbd63f54e9b8d80d365\
                b8c49df056d4947ad35fb26497ea7ccf9ca5f84bc07a66a374918079b977b4909cad7cca877c\
                a17fb68b9eb782d58f59ac8861936f9c8b4697637d81659b579f93869e6daa8b67a262a17f89\
                a761b4a1d82b7e8b57aa4194c77dd05dbaa060e3499c7985d86fc2b5a5f8513b8e8e24777761\
                b40d9d5043932d802969bc52a5658fa835cb3e71815bae3487da
                """),
        Case(
            width: 13, height: 3, isCubic: false,
            pixels: """
                4a7d9078ab5e85988b736659a194876f62757c8fa26a7d7058ab7e8659acb3865961b4878f62\
                95975b7682807e6e6c699357719b9896868482728c6d7a5b929f80616e4fa2af90557e5f96a3\
                84658ea154a35689578a9dab9e919f92a594a79a689b8e9c8f6290639665988bb98c5f8d60b3\
                61b487
                """),
        Case(
            width: 4, height: 9, isCubic: false,
            pixels: """
                3588ab937f5e506caa87a05d7a9e5a8565938a9a677c69b290a2656b9a8571848b91aa669458\
                7b798c6b797a87867381846d7f93637997647aa55e7084716f977f92826a68907d8b63617086\
                999787858274687aa89c8fa09e9ba2a09d9aac9f8e81937da2906875637e7284
                """),
        Case(
            width: 1, height: 1, isCubic: false,
            pixels: """
                848081
                """),
        Case(
            width: 5, height: 4, isCubic: true,
            pixels: """
                549f818e7e72747987718a8a878b819a74727b7e71758881887083958174726a6c9978928982\
                828f6a748d7583928284959f9f829c87898583878b91
                """),
        Case(
            width: 17, height: 11, isCubic: true,
            pixels: """
                004fa11366c03184f04ea2db6ac71985f723a68447ce0064e42d802849a40365c32e84e74aa8\
                f165c32f89f31baba246c3005e2779e941936f62c83d86ce61b43d4be554669358913551c162\
                76db4ea55069d73c96b36ab53087e152807478983588bd5f82d759bd7776e73baecb2cc16e5f\
                5f319e824bd166849e41bf657dde92b9814d80855c4d91977e5fb0a9855b84b66478a19a9e59\
                c588861bb9b64ac789878d39a51d867d37b8ae7bac739f9f2b78cb6bac62aa63649d297f9769\
                6dbb96964f8bd45e94b76cbc524abe005fda21898d5cb7218f9f699c089dd825c48866a12696\
                1066a33a81e079b980a29d31b2166ded48897e5ec24484947ab714f53c8f6a65ca36a88a79ab\
                10ab0751f028839862c42f99b672c518a42744e6197bc75ab5328cd667cd329c5335d21378fb\
                4ea13d6bda4eb362828928ca1857ff3c92836fe659bfa391c73fd43a674a4cb9479667848d1f\
                a90d64ed47888571cb5ba1a6a4d02d3da448816334772e5040379e847feb73d89aaab762d065\
                7b6c60d054bd77929448a348655248aa939d4eaa646e765196278e9078e80dca514c9024a40e\
                87d65cd3acbdbb64ca7a8c966bcd67cb9eb9ad63bc72948774c05fc391a69f59a765877b6da4\
                51ab8aafc852c7798e9d75c465bdb7b5cf4ed66996987ad055cbb982d555d26f6f9a65b95fa2\
                bf8edb5cdf727d9a71c96fb0bd95ea61e31e7b6260c945bf9baad632f33e926c7ded74dfa592\
                e4540053b041af1fa55e249e15861671c560d02dc56844a83aa32788e5
                """),
    ]
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

extension PostProcessor {
    init(_ field: Field) throws(TokenizerError) {
        switch try field.type() {
        case "TemplateProcessing": self = try PostProcessor(template: field)
        case "BertProcessing":
            let start = Item.special(ids: [try PostProcessor.token(field, "cls")], typeID: 0)
            let end = try PostProcessor.token(field, "sep")
            single = [start, .first(typeID: 0), .special(ids: [end], typeID: 0)]
            pair =
                single + [.second(typeID: 1), .special(ids: [end], typeID: 1)]
        case "RobertaProcessing":
            let start = Item.special(ids: [try PostProcessor.token(field, "cls")], typeID: 0)
            let end = Item.special(ids: [try PostProcessor.token(field, "sep")], typeID: 0)
            single = [start, .first(typeID: 0), end]
            pair = single + [end, .second(typeID: 0), end]
        case "ByteLevel": self = .plain
        case "Sequence":
            var chosen: PostProcessor?
            for part in try field.required("processors").elements()
            where try part.type() != "ByteLevel" {
                guard chosen == nil else {
                    throw part.unsupported("a second processor that adds tokens")
                }
                chosen = try PostProcessor(part)
            }
            self = chosen ?? .plain
        case let other: throw field.unsupported("the post-processor \(other)")
        }
    }

    /// `["[CLS]", 101]`
    private static func token(_ field: Field, _ name: String) throws(TokenizerError) -> Int32 {
        let parts = try field.required(name).elements()
        guard parts.count == 2 else {
            throw TokenizerError(
                .invalidFile, "\(field.path).\(name): expected a token and its id")
        }
        return Int32(try parts[1].integer(in: 0...Int(Int32.max)))
    }

    private init(template field: Field) throws(TokenizerError) {
        let specials = try field.member("special_tokens")
        single = try PostProcessor.items(try field.required("single"), specials)
        pair = try PostProcessor.items(try field.required("pair"), specials)
        guard single.filter(PostProcessor.isText).count == 1 else {
            throw TokenizerError(
                .invalidFile, "\(field.path).single: expected the sequence A once")
        }
        guard pair.filter(PostProcessor.isText).count == 2 else {
            throw TokenizerError(
                .invalidFile, "\(field.path).pair: expected the sequences A and B once each")
        }
    }

    private static func isText(_ item: Item) -> Bool {
        if case .special = item { false } else { true }
    }

    private static func items(
        _ field: Field, _ specials: Field?
    ) throws(TokenizerError) -> [Item] {
        var items: [Item] = []
        for element in try field.elements() {
            if let sequence = try element.member("Sequence") {
                let typeID = UInt8(try sequence.required("type_id").integer(in: 0...255))
                switch try sequence.required("id").string() {
                case "A": items.append(.first(typeID: typeID))
                case "B": items.append(.second(typeID: typeID))
                case let other:
                    throw TokenizerError(
                        .invalidFile, "\(sequence.path).id: expected A or B, found \(other)")
                }
            } else {
                let special = try element.required("SpecialToken")
                let name = try special.required("id")
                guard let token = try specials?.member(try name.string()) else {
                    throw TokenizerError(
                        .invalidFile,
                        "\(name.path): \(try name.string()) is not among the special_tokens")
                }
                var ids: [Int32] = []
                for id in try token.required("ids").elements() {
                    ids.append(Int32(try id.integer(in: 0...Int(Int32.max))))
                }
                let typeID = UInt8(try special.required("type_id").integer(in: 0...255))
                items.append(.special(ids: ids, typeID: typeID))
            }
        }
        return items
    }
}

extension Truncation {
    init(_ field: Field) throws(TokenizerError) {
        lengthMax = try field.required("max_length").integer(in: 0...(1 << 30))
        let strategy = try field.string("strategy", default: "LongestFirst")
        guard let strategy = Strategy(rawValue: strategy) else {
            throw field.unsupported("the strategy \(strategy)")
        }
        self.strategy = strategy
        side = Side(rawValue: try field.string("direction", default: "Right")) ?? .right
    }
}

extension Padding {
    init(_ field: Field) throws(TokenizerError) {
        self.init()
        if let id = try field.member("pad_id") {
            self.id = Int32(try id.integer(in: 0...Int(Int32.max)))
        }
        if let typeID = try field.member("pad_type_id") {
            self.typeID = UInt8(try typeID.integer(in: 0...255))
        }
        side =
            Truncation.Side(
                rawValue: try field.string("direction", default: "Right")) ?? .right
        if let strategy = try field.member("strategy"), strategy.value.kind == .object {
            length = try strategy.required("Fixed").integer(in: 0...(1 << 30))
        }
        multiple = try field.member("pad_to_multiple_of")?.integer(in: 1...(1 << 20))
    }
}

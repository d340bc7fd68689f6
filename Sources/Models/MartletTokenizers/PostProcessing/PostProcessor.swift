// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Where a text's tokens and the special tokens around them go.
struct PostProcessor: Sendable {
    enum Item: Sendable, Hashable {
        case special(ids: [Int32], typeID: UInt8)
        case first(typeID: UInt8)
        case second(typeID: UInt8)
    }

    var single: [Item]
    var pair: [Item]

    /// Nothing but the texts.
    static let plain = PostProcessor(
        single: [.first(typeID: 0)], pair: [.first(typeID: 0), .second(typeID: 1)])

    init(single: [Item], pair: [Item]) {
        self.single = single
        self.pair = pair
    }

    func items(isPair: Bool) -> [Item] { isPair ? pair : single }

    /// The ids that it adds are below this.
    var idEnd: Int {
        let ids = (single + pair).flatMap { item -> [Int32] in
            if case .special(let ids, _) = item { ids } else { [] }
        }
        return ids.max().map { Int($0) + 1 } ?? 0
    }

    /// How many tokens the template adds.
    static func addedCount(_ items: [Item]) -> Int {
        items.reduce(0) { count, item in
            if case .special(let ids, _) = item { count + ids.count } else { count }
        }
    }

    static func apply(_ items: [Item], _ first: [Int32], _ second: [Int32]) -> Encoding {
        let count = first.count + second.count + addedCount(items)
        var encoding = Encoding(ids: [], typeIDs: [])
        encoding.ids.reserveCapacity(count)
        encoding.typeIDs.reserveCapacity(count)
        for item in items {
            let (ids, typeID) =
                switch item {
                case .special(let ids, let typeID): (ids, typeID)
                case .first(let typeID): (first, typeID)
                case .second(let typeID): (second, typeID)
                }
            encoding.ids.append(contentsOf: ids)
            encoding.typeIDs.append(contentsOf: repeatElement(typeID, count: ids.count))
        }
        return encoding
    }
}

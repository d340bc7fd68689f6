// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Which adapters have names, and which are still used: a number is free when it has neither.
struct AdapterTable {
    private var numbers: [String: Int32] = [:]
    private var generations: [Int32: Int] = [:]
    private var uses: [Int32: Int] = [:]
    private var loads = 0

    /// The names of numbers; those that lost theirs are left out.
    func names(of wanted: Set<Int32>) -> [String] {
        wanted.isEmpty ? [] : numbers.filter { wanted.contains($0.value) }.keys.sorted()
    }

    func contains(_ name: String) -> Bool { numbers[name] != nil }

    /// The number of a name, and what its cached keys and values are kept under; the empty name is
    /// the model itself.
    func find(_ name: String) throws(LanguageError) -> (number: Int32, key: String) {
        if name.isEmpty { return (-1, "") }
        guard let number = numbers[name] else {
            throw LanguageError(.invalidInput, "no adapter '\(name)' is loaded")
        }
        return (number, "\(name)#\(generations[number] ?? 0)")
    }

    /// Gives a number a name.
    /// - Returns: the number that had it, when nothing uses that any more.
    mutating func enter(_ name: String, _ number: Int32) -> Int32? {
        let free = remove(name)
        loads += 1
        numbers[name] = number
        generations[number] = loads
        return free
    }

    /// Takes a name away.
    /// - Returns: its number, when nothing uses it any more.
    mutating func remove(_ name: String) -> Int32? {
        guard let number = numbers.removeValue(forKey: name) else { return nil }
        return uses[number] == nil ? number : nil
    }

    mutating func enter(_ number: Int32) {
        if number >= 0 { uses[number, default: 0] += 1 }
    }

    /// - Returns: whether the number is free now.
    mutating func leave(_ number: Int32) -> Bool {
        guard number >= 0, let count = uses[number] else { return false }
        uses[number] = count > 1 ? count - 1 : nil
        return count == 1 && !numbers.values.contains(number)
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// `equation`: "bhid,bhjd->bhij"; an ellipsis stands for broadcast axes.
    public static let einsum = OperatorSchema("Einsum") { context throws(GraphError) in
        let elementType = try context.type(0).elementType
        let terms = try EinsumEquation(context.string("equation"), context)
        guard terms.inputs.count == context.inputs.count else {
            throw context.failure("\(context.inputs.count) inputs for '\(terms.text)'")
        }
        var sizes: [Character: Dimension] = [:]
        var ellipsis: [Dimension] = []
        for (index, letters) in terms.inputs.enumerated() {
            guard let dimensions = try context.dimensions(index) else {
                return try context.setOutput(0, elementType, nil)
            }
            let named = letters.filter { $0 != "…" }
            let hidden = dimensions.count - named.count
            guard hidden == 0 || (hidden > 0 && named.count < letters.count) else {
                throw context.failure("'\(String(letters))' for \(dimensions.count) dimensions")
            }
            var axis = 0
            for letter in letters {
                if letter == "…" {
                    let part = Array(dimensions[axis..<(axis + hidden)])
                    ellipsis = try context.broadcast(ellipsis, part)
                    axis += hidden
                    continue
                }
                if let known = sizes[letter] {
                    sizes[letter] = try context.broadcast([known], [dimensions[axis]])[0]
                } else {
                    sizes[letter] = dimensions[axis]
                }
                axis += 1
            }
        }
        var result: [Dimension] = []
        for letter in terms.output {
            if letter == "…" {
                result += ellipsis
            } else if let size = sizes[letter] {
                result.append(size)
            } else {
                throw context.failure("'\(letter)' is in no input of '\(terms.text)'")
            }
        }
        try context.setOutput(0, elementType, result)
    }
}

/// An einsum equation, read: letters for axes, "…" for an ellipsis.
public struct EinsumEquation: Sendable {
    public let text: String
    public let inputs: [[Character]]
    public let output: [Character]

    init(_ text: String, _ context: ShapeContext) throws(GraphError) {
        guard let equation = EinsumEquation(text) else {
            throw context.failure("equation '\(text)' cannot be read", code: .invalidModel)
        }
        self = equation
    }

    /// Nil for an equation that cannot be read. Without "->", the output is every letter that
    /// occurs once, in alphabetic order, after the ellipsis.
    public init?(_ text: String) {
        self.text = text
        let letters = Array(text.filter { $0 != " " })
        var sides: [[Character]] = [[]]
        var index = 0
        while index < letters.count {
            if letters[index] == "-", index + 1 < letters.count, letters[index + 1] == ">" {
                sides.append([])
                index += 2
            } else if letters[index] == "." {
                guard index + 2 < letters.count, letters[index + 1] == ".",
                    letters[index + 2] == "."
                else { return nil }
                let term = sides[sides.count - 1].reversed().prefix { $0 != "," }
                guard !term.contains("…") else { return nil }
                sides[sides.count - 1].append("…")
                index += 3
            } else {
                guard letters[index] == "," || (letters[index].isASCII && letters[index].isLetter)
                else { return nil }
                sides[sides.count - 1].append(letters[index])
                index += 1
            }
        }
        guard sides.count <= 2 else { return nil }
        inputs = sides[0].split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
        if sides.count == 2 {
            output = sides[1]
            return
        }
        let all = sides[0].filter { $0 != "," }
        let once = Set(all).filter { letter in
            letter != "…" && all.count(where: { $0 == letter }) == 1
        }
        output = (all.contains("…") ? ["…"] : []) + once.sorted()
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Testing

@Suite("CodeComparison")
struct CodeComparisonTests {
    static let python = """
        import os  # the system
        def greet(name, times=3):
            '''Says hello.'''
            for i in range(times):
                if name: print(f"hello {name}", i)
                else:
                    return [1_000, 2, lambda x: x + 1]
            return {'a': 1, "b": 2}
        """

    @Test(
        "Python's layout, comments and quotes say nothing",
        arguments: [
            python,
            "# begin\n\n" + python + "\n\n# end\n",
            python.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"),
            """
            import os
            def greet(
                name,
                times=3,  # often
            ):

              \"\"\"Says hello.\"\"\"
              for i in range( times ) :
                    if name:
                        print(f"hello {name}",
                              i)
                    else:
                        return [
                            1000,
                            2,
                            lambda x: x+1,
                        ]
              return {"a": 1, \\
                      'b': 2,}
            """,
        ])
    func samePython(other: String) {
        let found = CodeComparison(Self.python, other, language: "python")
        #expect(found.isParsed && found.isSame, "\(found.differences)")
    }

    @Test("Python's changes are found where they are")
    func changedPython() {
        func differences(_ old: String, _ new: String) -> [CodeDifference] {
            let changed = Self.python.replacing(old, with: new)
            #expect(changed != Self.python)
            let found = CodeComparison(Self.python, changed, language: "py")
            #expect(found.isParsed, "\(changed)")
            return found.differences
        }
        let literal = differences("times=3", "times=4")
        #expect(literal.map(\.part) == [.literal] && literal[0].before == "3")
        #expect(literal[0].line == 2)
        let call = differences("range(", "xrange(")
        #expect(call.map(\.part) == [.call] && call[0].after == "xrange")
        #expect(differences("2, lambda", "lambda").count == 2)
        #expect(differences("import os  #", "import os, sys  #").map(\.kind) == [.added, .added])
        #expect(differences("hello {name}", "hallo {name}").map(\.part) == [.literal])
        let statement = differences("    return {", "    pass\n    return {")
        #expect(statement.map(\.kind) == [.added] && statement[0].after == "pass")
        // A statement moved out of its block is another program.
        let moved = CodeComparison(
            "if a:\n  b()\n  c()\n", "if a:\n  b()\nc()\n", language: "python")
        #expect(!moved.isSame)
        #expect(!CodeComparison("x = (1,)", "x = (1)", language: "python").isSame)
        #expect(CodeComparison("x = f(1,)", "x = f(1)", language: "python").isSame)
    }

    static let swift = #"""
        import Foundation
        /// Adds.
        func add(_ a: Int, b: Int = 1_0) -> Int {
            let sum = a + b  // both
            guard sum > 0 else { return 0 }
            return items.map { $0 * 2 }
                .filter { $0 > sum }
                .count
        }
        let text = "sum: \(add(1, b: "x".count))"
        """#

    @Test(
        "Swift's layout and comments say nothing",
        arguments: [
            swift,
            #"""
            import Foundation; func add(_ a: Int,
                     b: Int = 10) -> Int
            {
              /* a /* nested */ comment */
              let sum = a
                  + b
              guard sum > 0
              else {
                  return 0
              }
              return items.map { $0 * 2 }.filter { $0 > sum }.count }
            let text =
                "sum: \(add(1, b: "x".count))"
            """#,
        ])
    func sameSwift(other: String) {
        let found = CodeComparison(Self.swift, other, language: "swift")
        #expect(found.isParsed && found.isSame, "\(found.differences)")
    }

    @Test("Swift's changes are found")
    func changedSwift() {
        func parts(_ old: String, _ new: String) -> [CodeDifference.Part] {
            let changed = Self.swift.replacing(old, with: new)
            #expect(changed != Self.swift)
            return CodeComparison(Self.swift, changed, language: "Swift").differences.map(\.part)
        }
        #expect(parts("sum > 0", "sum > 1") == [.literal])
        #expect(parts("a + b", "a - b") == [.symbol])
        #expect(parts(".filter {", ".reject {") == [.name])
        #expect(parts("sum: ", "Sum: ") == [.literal])
        #expect(parts("return 0", "return 0; log()") == [.statement])
        #expect(parts("add(1,", "sub(1,") == [.literal], "code in a string is the string's")
        let pairs = [
            (
                "@a(1) struct B<C, D>: E { let f: G<H> }",
                "@a(1)\nstruct B<\n  C, D\n>: E {\n let\n f: G<H>\n}"
            ),
            ("x.map { y in try f(y) }", "x.map { y in\n  try\n  f(y)\n}"),
            (
                "func a() async throws(E) -> B { return c as D }",
                "func a()\nasync throws(E)\n-> B {\n return\n c\n as D }"
            ),
            ("let a = b << 2", "let a =\n  b\n  << 2"),
            ("@a private(set) var b = 1", "@a\nprivate(set)\nvar b = 1"),
            ("guard let a, !b else { return }", "guard\n  let a,\n  !b\nelse {\n return\n}"),
        ]
        for (one, other) in pairs {
            let found = CodeComparison(one, other, language: "swift")
            #expect(found.isParsed && found.isSame, "\(one): \(found.differences)")
        }
        #expect(!CodeComparison("a = .public\nb()", "a = .public b()", language: "swift").isSame)
        let two = CodeComparison("a\nb()", "a b()", language: "swift")
        #expect(!two.isSame, "two statements are not one")
    }

    @Test("JSON goes by members, whatever their order")
    func json() {
        #expect(
            CodeComparison(#"{"a":1,"b":[2]}"#, "{ \"b\": [ 2 ], \"a\": 1 }", language: "json")
                .isSame)
        let found = CodeComparison(#"{"a":1}"#, #"{"a":2}"#, language: "json")
        #expect(found.differences.map(\.part) == [.member] && found.isParsed)
    }

    @Test("what cannot be parsed is compared line by line, and says so")
    func unparsed() {
        let found = CodeComparison("def f(:\n  x", "def f(:\n  y", language: "python")
        #expect(!found.isParsed && found.differences.count == 1)
        #expect(CodeComparison("def f(:  \n", "def f(:\n", language: "python").isSame)
    }

    @Test("answers: equal prose and equal trees are the same answer")
    func answers() {
        let before = "Here:\n\n```python\nx = 1  # one\nprint(x)\n```\n\nDone."
        let after = "Here:\n\n```python\n# first\nx=1\nprint( x )\n```\n\nDone."
        #expect(CodeAnswer.areSame(before, after))
        #expect(!CodeAnswer.areSame(before, after.replacing("Done", with: "Ready")))
        #expect(!CodeAnswer.areSame(before, after.replacing("print", with: "log")))
        #expect(!CodeAnswer.areSame(before, after.replacing("```python", with: "```")))
        let answer = CodeAnswer("a\n~~~~ swift {x}\n```\n~~~\n~~~~\nb\n``` py\nopen")
        #expect(answer.blocks.map(\.language) == ["swift", "py"])
        #expect(answer.blocks.map(\.code) == ["```\n~~~", "open"] && answer.prose == ["a", "b"])
    }

    /// Whatever is thrown at it, it ends; what is equal stays equal, and comments never count.
    @Test("changed programs of either language", arguments: [1, 2, 3, 4])
    func hostile(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let pieces = Array(
            "()[]{}\"'\"\"\"#\\\n  \tf\"{x}:;,=lambda \\(x) if else 1.5e+3 /* */".utf8)
        for round in 0..<1_500 {
            let isPython = round % 2 == 0
            var bytes = Array((isPython ? Self.python : Self.swift).utf8)
            for _ in 0..<Int.random(in: 0...8, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                let piece = pieces[Int.random(in: 0..<pieces.count, using: &random)]
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = piece
                case 1: bytes.insert(piece, at: place)
                default: bytes.remove(at: place)
                }
            }
            let code = String(decoding: bytes, as: UTF8.self)
            let language = isPython ? "python" : "swift"
            let itself = CodeComparison(code, code, language: language)
            #expect(itself.isSame, "seed \(seed): \(code)")
            guard itself.isParsed else { continue }
            let commented = (isPython ? "# c\n" : "/* c */ // d\n") + code
            #expect(
                CodeComparison(code, commented, language: language).isSame, "seed \(seed): \(code)")
            _ = CodeComparison(isPython ? Self.python : Self.swift, code, language: language)
        }
    }

    @Test("deep and long code is given up, not run into the ground")
    func bounds() {
        let deep = String(repeating: "(", count: 100_000)
        #expect(!CodeComparison(deep, deep, language: "swift").isParsed)
        #expect(!CodeComparison(deep, deep + " ", language: "python").isParsed)
        let braces =
            String(repeating: "if x {\n", count: 5_000) + String(repeating: "}", count: 5_000)
        #expect(!CodeComparison(braces, braces, language: "swift").isParsed)
        var nested = ""
        for depth in 0..<3_000 { nested += String(repeating: " ", count: depth) + "if x:\n" }
        #expect(!CodeComparison(nested + "pass", nested, language: "python").isParsed)
        let strings = String(repeating: "\"\\(", count: 20_000)
        #expect(!CodeComparison(strings, strings, language: "swift").isParsed)
        let long = String(repeating: "x = 1\n", count: 4_000)
        let other = String(repeating: "y = 2\n", count: 4_000)
        #expect(CodeComparison(long, other, language: "python").isCutOff)
    }
}

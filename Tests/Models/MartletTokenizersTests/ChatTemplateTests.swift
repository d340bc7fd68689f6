// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletTesting
internal import MartletTokenizers
internal import Testing

@Suite("Chat templates")
struct ChatTemplateTests {
    private func render(_ source: String, _ variables: JSONObject = JSONObject()) throws -> String {
        try ChatTemplate(source).render(variables, wallSeconds: 0)
    }

    @Test(
        "the language's parts",
        arguments: [
            ("{{ 7 // 2 }} {{ -7 % 3 }} {{ 1 / 2 }} {{ 2 ** 3 }}", "3 2 0.5 8"),
            ("{{ 'abc'[::-1] }}{{ [1, 2, 3][1:] }}", "cba[2, 3]"),
            ("{% for i in range(4) if i != 2 %}{{ loop.index }}{{ i }} {% endfor %}", "10 21 33 "),
            (
                "{% set ns = namespace(a=1) %}{% for i in [1] %}{% set ns.a = 5 %}{% endfor %}{{ ns.a }}",
                "5"
            ),
            (
                "{% macro m(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}",
                "1x12"
            ),
            ("{{ {'a': [1, none, true, 1.5]} | tojson }}", #"{"a": [1, null, true, 1.5]}"#),
            ("a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc"),
            ("{{ x is defined }} {{ x | default('d') }} {{ 'a' if x else 'b' }}", "False d b"),
            ("{%- raw %}{{ a }}{% endraw %}", "{{ a }}"),
            ("{{ 'a' ~ 1 ~ none }} {{ ['b', 'a'] | sort | join('-') }}", "a1None a-b"),
        ])
    func parts(source: String, expected: String) throws {
        #expect(try render(source) == expected)
    }

    @Test("a template's own refusal is its message")
    func raised() throws {
        let error = #expect(throws: TemplateError.self) {
            try render("a\n{{ raise_exception('no ' ~ 'good') }}")
        }
        #expect(error?.code == .raised)
        #expect(error?.message == "no good")
        #expect(error?.line == 2)
    }

    @Test(
        "loops, growth and depth are bounded",
        arguments: [
            "{% for i in range(1000000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}",
            "{{ range(10 ** 15) }}", "{{ 'x' * 10 ** 12 }}",
            "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            "{{ " + String(repeating: "(", count: 10_000),
            String(repeating: "{% if true %}", count: 10_000),
            "{{ " + String(repeating: "not ", count: 10_000) + "1 }}",
            "{{ x" + String(repeating: ".a", count: 10_000) + " }}",
            "{{ '%s' % ('x' * 1000000) * 1000000 }}",
            "{{ -9223372036854775807 - 2 }}", "{{ 9223372036854775807 * 2 }}",
        ])
    func bounds(source: String) {
        #expect(throws: TemplateError.self) { try render(source) }
    }

    @Test("damaged templates are errors, never the end")
    func templatesFuzz() {
        let seeds = [
            ChatTemplate.plain,
            "{% macro m(a, b=2) %}{{ a | default(b, true) | tojson(indent=2) }}{% endmacro %}{{ m(messages[0].role) }}",
            "{% for k, v in {'a': 1}.items() %}{{ k ~ v[::2] }}{% else %}{{ 'x'.split('y', 1) }}{% endfor %}",
            "{%- set ns = namespace(i=0) -%}{% for m in messages[::-1] %}{% set ns.i = ns.i + 1 %}{% endfor %}{{ ns.i // 2 ** 3 }}",
        ]
        var limits = TemplateLimits()
        limits.stepsMax = 20_000
        limits.outputBytesMax = 1 << 16
        var variables = JSONObject()
        variables["messages"] = [["role": "user", "content": "hi"]]
        fuzz("templates", seeds: seeds.map { Array($0.utf8) }, sizeMax: 2048) { bytes in
            _ = try ChatTemplate(String(decoding: bytes, as: UTF8.self), limits: limits)
                .render(variables, wallSeconds: 0)
        }
    }
}

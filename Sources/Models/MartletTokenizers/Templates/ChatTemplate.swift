// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletJSON

/// Turns a conversation into a model's prompt, as its `chat_template` says.
///
/// The template's language is Jinja as `transformers` sets it up: blocks trimmed, `tojson`,
/// `raise_exception`, `strftime_now`, loop controls and `generation` blocks. A template can reach
/// nothing but what it is given, and only within `TemplateLimits`. Immutable: any number of threads
/// may render at once.
public struct ChatTemplate: Sendable {
    private let nodes: [TemplateNode]
    private let limits: TemplateLimits

    /// - Throws: `TemplateError` with the line.
    public init(
        _ source: String, limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) {
        nodes = try TemplateParser.parse(source, limits: limits)
        self.limits = limits
    }

    /// Renders the template with the given names.
    /// - Parameter wallSeconds: the time that `strftime_now` tells, since the epoch.
    /// - Throws: `TemplateError`; `.raised` when the template refuses its input.
    public func render(
        _ variables: JSONObject, wallSeconds: Int64
    ) throws(TemplateError) -> String {
        let globals = TemplateScope(parent: nil)
        globals.values = [
            "range": .function(.range), "namespace": .function(.namespace),
            "dict": .function(.dict), "raise_exception": .function(.raise),
            "strftime_now": .function(.now),
        ]
        for (name, value) in variables { globals.values[name] = TemplateValue(value) }
        var interpreter = TemplateInterpreter(limits: limits, wallSeconds: wallSeconds)
        return try interpreter.render(nodes, TemplateScope(parent: globals))
    }

    /// `<|im_start|>role … <|im_end|>`: what models without a template of their own often read.
    public static let plain = """
        {%- for message in messages -%}
        {{ '<|im_start|>' + message.role + '\\n' + (message.content or '') + '<|im_end|>\\n' }}
        {%- endfor -%}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
        """
}

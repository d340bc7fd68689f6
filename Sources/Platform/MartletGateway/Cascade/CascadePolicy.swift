// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// When a small model's answer will do, and when a larger one is asked.
package struct CascadePolicy: Sendable, Hashable {
    /// What the answer is judged by; below `least` the larger model is asked.
    package enum Measure: Sendable, Hashable {
        /// The mean logarithm of the tokens' probabilities (OpenAI's `logprobs`).
        case logprob
        /// The mean difference between the two likeliest tokens' probabilities (`top_logprobs`).
        case tokenMargin
        /// The highest element of an output tensor, or of all of them.
        case probability(output: String?)
        /// The difference between the two highest elements of an output tensor.
        case margin(output: String?)
        /// A number in the answer's JSON, by its dotted path.
        case field(String)
    }

    package var measure: Measure
    package var least: Double
    /// The first model may take so long before the other is asked.
    package var timeout: Duration = .seconds(10)

    package init(measure: Measure, least: Double) {
        self.measure = measure
        self.least = least
    }
}

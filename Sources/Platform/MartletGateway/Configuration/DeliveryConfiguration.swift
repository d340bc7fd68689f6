// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletYAML

/// How a model's new version is brought out (`deliver:`); the plan is checked, its versions are
/// resolved when it is compiled.
package struct DeliveryConfiguration: Sendable {
    package var position: SourcePosition
    package var baseline: GatewayConfiguration.Reference
    package var canary: GatewayConfiguration.Reference
    /// What keeps a user at one version.
    package var key = Attribute.user
    package var plan: DeliveryPlan
    /// Scores below this are bad.
    package var badBelow = 0.5
    /// Its feedback gate was written down.
    package var gatesFeedback = false
}

/// What is remembered of requests, for `POST /v1/feedback`.
package struct FeedbackPolicy: Sendable, Hashable {
    /// Requests, the oldest forgotten first.
    package var requestsMax = 65_536
    package var keptFor: Duration = .seconds(86_400)

    package init() {}
}

/// Where live deliveries and assignments are written down.
package struct DeliveryFiles: Sendable, Hashable {
    /// The deliveries' state, replaced whole at each change; nil: a restart begins anew.
    package var state: String?
    /// What shadows have shown, replaced whole now and then; nil: a restart begins anew.
    package var comparisons: String?
    /// Assignments to experiments, a JSON object a line; nil: not written.
    package var exposures: String?
    /// The log is moved to `….1` when it has grown to this.
    package var exposureBytesMax = 256 << 20

    package init() {}
}

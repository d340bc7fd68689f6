// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletWire

/// What a request lacks, or says wrongly: told so that its client can be mended.
extension ClientConnection {
    /// No rule matches and no model is named: says what is missing.
    func refuseWithoutModel() {
        if knownPath == "/v1/feedback" {
            return fail(
                404, "no_feedback",
                "no feedback is taken: gateway.yaml had no feedback section at the start")
        }
        // Inference needs a model; what other paths need is not known here.
        guard exchange.method == .post, !exchange.isGRPC, isRepeatable() else {
            return fail(
                404, "no_route",
                "no route matches \(knownPath), and the request names no model")
        }
        guard exchange.bodyBytes > 0 else {
            return fail(
                400, "missing_body",
                "\(knownPath) needs a JSON body that names its model; the request has none")
        }
        if exchange.isBodyComplete, exchange.bodyBytes == exchange.body.count {
            do throws(JSONError) {
                let body = try JSONValue(parsing: exchange.body)
                guard body.objectValue != nil else {
                    return fail(400, "invalid_json", "the body must be a JSON object")
                }
            } catch {
                return fail(400, "invalid_json", "the body is no JSON: \(error)")
            }
        }
        fail(400, "missing_model", "the body names no model: a text under \"model\" is needed")
    }

    func refuseTimeout(_ header: String, _ value: String) {
        fail(
            400, "invalid_timeout",
            "\(header) is no time: '\(value.prefix(40))'; it takes "
                + (header == "grpc-timeout"
                    ? "up to eight digits and one of H, M, S, m, u, n"
                    : "seconds (30, 1.5s) or milliseconds (500ms)"))
    }
}

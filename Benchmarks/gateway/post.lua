-- SPDX-License-Identifier: Apache-2.0
-- Part of Martlet, the AI platform in one Swift binary.
wrk.method = "POST"
wrk.body = '{"model":"m","messages":[{"role":"user","content":"' .. string.rep("x", 940) .. '"}]}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer sk-bench"
wrk.headers["X-User-Id"] = "user-1234"

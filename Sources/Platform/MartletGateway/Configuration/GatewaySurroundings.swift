// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension RoutingSnapshot {
    /// What the rules need of the machine and do not find there: variables with keys, and files.
    ///
    /// What cannot be a variable's name never came this far: a key may stand in its place.
    /// - Parameters:
    ///   - hasVariable: whether an environment variable is set and not empty.
    ///   - hasFile: whether a file is there.
    package func missing(
        hasVariable: (String) -> Bool, hasFile: (String) -> Bool
    ) -> [String] {
        var found: [String] = []
        for upstream in tables.upstreams {
            guard let name = upstream.keyVariable, !hasVariable(name) else { continue }
            found.append(
                "upstream '\(upstream.name)': the variable \(name) that its key_env names is not set; "
                    + "the gateway does not start without it")
        }
        if let name = tables.state?.passwordVariable, !hasVariable(name) {
            found.append("state: the variable \(name) that its password_env names is not set")
        }
        let listen = tables.listen
        let files = [
            ("certificate", listen.certificate), ("key", listen.key),
            ("client_ca", listen.clientAuthorities),
        ]
        for (what, path) in files {
            guard let path, !hasFile(path) else { continue }
            found.append("listen: its \(what) '\(path)' is not there")
        }
        for issuer in tables.access.issuers {
            guard case .file(let path) = issuer.source, !hasFile(path) else { continue }
            found.append("jwt '\(issuer.name)': its keys '\(path)' are not there")
        }
        return found
    }

    /// What differs from `old` and takes a restart to come into force.
    package func changesForRestart(since old: RoutingSnapshot) -> [String] {
        let (old, new) = (old.tables, tables)
        var listen = new.listen
        // Host and port may have been given beside the file.
        if let host = old.listenInstead.host { listen.host = host }
        if let port = old.listenInstead.port { listen.port = port }
        var oldDoor = old.listen
        (oldDoor.logsRequests, oldDoor.tracedShare) = (listen.logsRequests, listen.tracedShare)
        var found: [String] = []
        if listen != oldDoor { found.append("listen") }
        if listen.logsRequests != old.listen.logsRequests
            || listen.tracedShare != old.listen.tracedShare
        {
            found.append("log")
        }
        if new.state != old.state { found.append("state") }
        if new.deliveryFiles != old.deliveryFiles { found.append("delivery") }
        if new.feedback != old.feedback { found.append("feedback") }
        if new.budgetFile != old.budgetFile { found.append("accounting.state") }
        return found
    }
}

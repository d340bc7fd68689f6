// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Why an address cannot be listened on, in an operator's words.
package enum ListenFailure {
    /// - Parameter code: the system's error number; nil when there was none, as for a host that has
    ///   no address.
    package static func reason(_ code: Int32?) -> String {
        switch code {
        case nil: return "no address belongs to this host name"
        case EADDRINUSE: return "the port is already in use by another process"
        case EADDRNOTAVAIL: return "no interface of this machine has this address"
        case EACCES: return "not permitted (ports below 1024 need a privilege)"
        case EMFILE, ENFILE: return "too many open files"
        case let code?: return unsafe String(cString: strerror(code))
        }
    }
}

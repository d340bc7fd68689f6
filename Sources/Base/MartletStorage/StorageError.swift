// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A file operation that failed: what was tried, on which path, and why.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// The path names nothing.
        case notFound
        case permissionDenied
        /// A directory, a device, a pipe or a socket where a regular file is needed.
        case notARegularFile
        /// A file where a directory is needed.
        case notADirectory
        case emptyFile
        /// More bytes or entries than the caller allows.
        case tooLarge
        case notText
        /// The path leaves the folder that it must stay in.
        case outsideFolder
        case inputOutput
    }

    public var code: Code
    public var path: String
    public var message: String

    public init(code: Code, path: String, message: String) {
        self.code = code
        self.path = path
        self.message = message
    }

    public var description: String { message }
}

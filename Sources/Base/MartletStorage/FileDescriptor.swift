// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// An open file that closes itself.
struct FileDescriptor: ~Copyable {
    let number: Int32
    let path: String

    /// Opens a file for reading. Never blocks on a pipe that nobody writes to.
    init(reading path: String) throws(StorageError) {
        let number = retrying { unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard number >= 0 else { throw .system("open", path: path, errno: errno) }
        self.number = number
        self.path = path
    }

    deinit {
        close(number)
    }

    /// The size of a regular file; throws for anything else.
    func regularFileSize() throws(StorageError) -> Int { try regularFileStamp().byteCount }

    /// The stamp of a regular file; throws for anything else.
    func regularFileStamp() throws(StorageError) -> FileStamp {
        var status = stat()
        guard unsafe fstat(number, &status) == 0 else {
            throw .system("inspect", path: path, errno: errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw StorageError(
                code: .notARegularFile, path: path,
                message: "open '\(path)': it is not a regular file")
        }
        return FileStamp(status)
    }
}

/// Repeats a system call that a signal interrupted.
func retrying(_ call: () -> Int32) -> Int32 {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}

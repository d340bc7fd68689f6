// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A file or message that is not what its format asks for.
public struct FormatError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Format: String, Hashable, Sendable {
        case protobuf, onnx = "ONNX", safetensors, pbtext = "protobuf text", npy = "NPY"
        case gguf = "GGUF"
    }

    public enum Code: Hashable, Sendable {
        /// The bytes end inside a value, or a length points past the end.
        case truncated
        /// The bytes break the format's rules.
        case malformed
        /// A size, count or nesting limit is passed, or a size overflows.
        case limitExceeded
        /// Well-formed, but a version or type that is not known here.
        case unsupported
        /// Something the format requires is absent.
        case missing
        /// A path that leaves the model's folder, or data outside its file.
        case outOfBounds
        /// A file that belongs to the model cannot be read.
        case unreadable
    }

    public var format: Format
    public var code: Code
    /// Names the place and both sides of what does not fit.
    public var message: String
    /// The byte at which the fault was noticed, where that is known.
    public var offset: Int?

    public init(format: Format, code: Code, message: String, offset: Int? = nil) {
        self.format = format
        self.code = code
        self.message = message
        self.offset = offset
    }

    public var description: String {
        let place = offset.map { " (byte \($0))" } ?? ""
        return "\(format.rawValue): \(message)\(place)"
    }
}

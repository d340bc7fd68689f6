// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletJSON

/// What an answer must look like.
public enum AnswerFormat: Sendable, Hashable {
    case text
    /// Any JSON object.
    case json
    case schema(JSONValue)
    case regex(String)
    case choice([String])
    /// A grammar in llama.cpp's notation or Lark's.
    case grammar(String)
}

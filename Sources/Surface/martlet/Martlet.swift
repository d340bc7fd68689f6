// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser

@main
struct Martlet: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "martlet", version: "0.1.0")
}

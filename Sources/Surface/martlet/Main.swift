// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletBase

@main
struct Main: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Serve models in production from one binary.",
        discussion: """
            Start with:   martlet serve path/to/model.onnx
            Then:         curl localhost:8000/v2/models

            A PATH is an ONNX file, a Hugging Face folder (config.json, model.safetensors,
            tokenizer.json), or a model repository in Triton's layout (name/1/model.onnx).
            """,
        version: Release.version,
        subcommands: [
            ServeCommand.self,
            BenchCommand.self, ProfileCommand.self, RunCommand.self, InspectCommand.self,
            CompileCommand.self,
            VerifyCommand.self, ConfigCommand.self, GatewayCommand.self, CompareCommand.self,
            DemoCommand.self,
            ChatCommand.self,
            QuantizeCommand.self,
            DecodeCommand.self,
        ])
}

/// What this build is.
enum Release {
    static let version = "0.1.0"
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import MartletTesting
internal import Testing

@Suite("Model configuration fuzz")
struct ConfigurationFuzzTests {
    private static let text = """
        name: "m" platform: "onnxruntime_onnx" max_batch_size: 8
        version_policy: { specific: { versions: [ 1, 3 ] } }
        input [ { name: "x" data_type: TYPE_FP32 dims: [ 3, -1 ] } ]
        output [ { name: "y" data_type: TYPE_STRING dims: 1 reshape { shape: [ ] } } ]
        instance_group [ { count: 2 kind: KIND_CPU } ]
        dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100
          priority_levels: 2 default_priority_level: 2
          priority_queue_policy { key: 1 value { max_queue_size: 5 } } }
        parameters { key: "pre" value { string_value: "decode_image,resize:224:256" } }
        model_warmup { name: "w" batch_size: 2
          inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 3, 4 ] random_data: true } } }
        """
    private static let ensemble = """
        name: "e" platform: "ensemble" input { name: "i" data_type: TYPE_INT8 dims: 1 }
        output { name: "o" data_type: TYPE_INT8 dims: 1 }
        ensemble_scheduling { step { model_name: "a" model_version: -1
          input_map { key: "x" value: "i" } output_map { key: "y" value: "o" } } }
        """
    private static let json =
        #"{"name":"m","backend":"onnxruntime","maxBatchSize":8,"input":[{"name":"x","#
        + #""dataType":"TYPE_FP32","dims":[3,"-1"]}],"dynamic_batching":{"#
        + #""preferred_batch_size":[4],"max_queue_delay_microseconds":"100"},"#
        + #""parameters":{"k":{"string_value":"v"}},"instance_group":[{"count":2}]}"#

    @Test("no config.pbtxt crashes the reader")
    func text() {
        let seeds = [ConfigurationFuzzTests.text, ConfigurationFuzzTests.ensemble]
        fuzz("config.pbtxt", seeds: seeds.map { Array($0.utf8) }) { bytes in
            _ = try ConfigurationReader.read(text: bytes, path: "config.pbtxt", name: "m")
        }
    }

    @Test("no JSON configuration of a load call crashes the reader")
    func json() {
        fuzz("configuration JSON", seeds: [Array(ConfigurationFuzzTests.json.utf8)]) { bytes in
            _ = try ConfigurationReader.read(json: bytes, name: "m")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import MartletTensor
internal import Testing

@Suite("ConfigurationReader")
struct ConfigurationReaderTests {
    private func read(_ text: String, name: String = "m") throws -> ConfigurationReading {
        try ConfigurationReader.read(text: Array(text.utf8), path: "config.pbtxt", name: name)
    }

    private func message(_ text: String) -> String {
        do {
            _ = try read(text)
            return "read"
        } catch { return "\(error)" }
    }

    @Test("every honoured field arrives typed")
    func fields() throws {
        let reading = try read(
            """
            name: "m"
            platform: "onnxruntime_onnx"
            max_batch_size: 8
            version_policy: { specific: { versions: [ 1, 3 ] } }
            input [ { name: "x" data_type: TYPE_FP32 dims: [ 3, -1 ] format: FORMAT_NONE } ]
            output [ { name: "y" data_type: TYPE_STRING dims: 1 reshape { shape: [ ] }
                       label_filename: "labels.txt" } ]
            instance_group [ { count: 2 kind: KIND_CPU } ]
            dynamic_batching {
              preferred_batch_size: [ 4, 8 ]
              max_queue_delay_microseconds: 100
              priority_levels: 2 default_priority_level: 2
              default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 7 }
              priority_queue_policy {
                key: 1 value { max_queue_size: 5 allow_timeout_override: true } }
            }
            parameters { key: "pre" value {
              string_value: "decode_image,resize:224:256,normalize:imagenet" } }
            parameters { key: "post" value { string_value: "softmax, top_k:5:labels.txt" } }
            model_warmup { name: "w" batch_size: 2
              inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 3, 4 ] random_data: true } } }
            """)
        let configuration = reading.configuration
        #expect(reading.warnings.isEmpty)
        #expect(configuration.maxBatchSize == 8)
        #expect(configuration.versionPolicy == .specific([1, 3]))
        #expect(configuration.inputs[0].dimensions == [3, -1])
        #expect(configuration.outputs[0].elementType == .bytes)
        #expect(configuration.outputs[0].reshape == [])
        #expect(configuration.outputs[0].labelFilename == "labels.txt")
        #expect(configuration.instanceCount == 2)
        let batching = try #require(configuration.dynamicBatching)
        #expect(batching.preferredBatchSizes == [4, 8])
        #expect(batching.defaultQueuePolicy.timeoutAction == .delay)
        #expect(batching.defaultQueuePolicy.queueSizeMax == 1024)
        #expect(batching.priorityQueuePolicies[1]?.queueSizeMax == 5)
        #expect(configuration.pipeline.pre.count == 3)
        #expect(configuration.pipeline.pre[1] == .resize(shorterSide: 256, crop: 224))
        #expect(configuration.pipeline.post.last == .topK(count: 5, labelsPath: "labels.txt"))
        #expect(configuration.warmups[0].inputs["x"]?.data == .random)
    }

    @Test("a field that is not honoured is a warning with its line")
    func warns() throws {
        let reading = try read("max_batch_size: 1\noptimization { priority: PRIORITY_MAX }\n")
        #expect(reading.warnings == ["line 2: field 'optimization' is not honoured"])
        let gpu = try read("instance_group { kind: KIND_GPU }")
        #expect(gpu.warnings.first?.contains("KIND_GPU") == true)
    }

    @Test(
        "a field that cannot be right is an error with its line",
        arguments: [
            ("\nmax_batch_size: -1", "line 2"),
            ("no_such_field: 1", "is not a field"),
            ("name: \"other\"", "folder is called 'm'"),
            ("platform: \"tensorrt_plan\"", "tensorrt_plan"),
            ("input { name: \"x\" dims: 1 }", "no data_type"),
            ("input { name: \"x\" data_type: TYPE_FP32 dims: 0 }", "is 0"),
            ("max_batch_size: 4 dynamic_batching { preferred_batch_size: 5 }", "preferred"),
            ("max_batch_size: 4 dynamic_batching { priority_levels: 2 }", "default_priority_level"),
            (
                "max_batch_size: 4 dynamic_batching { preserve_ordering: true priority_levels: 2 "
                    + "default_priority_level: 1 }", "preserve_ordering"
            ),
            ("platform: \"ensemble\"", "ensemble_scheduling"),
            ("version_policy { latest { num_versions: 0 } }", "expected 1 or more"),
            ("parameters { key: \"pre\" value { string_value: \"fly\" } }", "fly"),
            ("input {", "ends early"),
        ])
    func refuses(_ text: String, _ part: String) {
        #expect(message(text).contains(part), "\(message(text))")
    }

    @Test("the JSON of a load call says the same as the text")
    func readsJSON() throws {
        let json = """
            {"name": "m", "backend": "onnxruntime", "max_batch_size": 4, "unknown": null,
             "input": [{"name": "x", "data_type": "TYPE_INT64", "dims": ["-1"]}],
             "version_policy": {"all": {}},
             "dynamic_batching": {"max_queue_delay_microseconds": "50",
               "priority_queue_policy": {}},
             "parameters": {"k": {"string_value": "v"}},
             "instance_group": [{"count": 3, "kind": "KIND_CPU"}]}
            """
        let configuration = try ConfigurationReader.read(json: Array(json.utf8), name: "m")
            .configuration
        #expect(configuration.versionPolicy == .all)
        #expect(configuration.inputs[0].dimensions == [-1])
        #expect(configuration.dynamicBatching?.maxQueueDelayMicroseconds == 50)
        #expect(configuration.parameters == ["k": "v"])
        #expect(configuration.instanceCount == 3)
    }
}

# SPDX-License-Identifier: Apache-2.0
"""Health, metadata, configuration and statistics."""

import time

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc


def test_live_and_ready(door):
    assert door.client.is_server_live()
    assert door.client.is_server_ready()


def test_model_ready(door):
    assert door.client.is_model_ready("add_sub")
    assert door.client.is_model_ready("versioned", "3")


def test_unknown_model_is_not_ready(door):
    assert not door.client.is_model_ready("nothing")
    assert not door.client.is_model_ready("versioned", "2")


def test_server_metadata(door):
    metadata = door.json(door.client.get_server_metadata())
    assert metadata["name"] == "martlet"
    assert metadata["version"]
    expected = {"classification", "model_repository", "statistics", "binary_tensor_data",
                "schedule_policy", "model_configuration", "system_shared_memory"}
    assert expected <= set(metadata["extensions"])


def test_model_metadata(door):
    metadata = door.json(door.client.get_model_metadata("add_sub"))
    assert metadata["name"] == "add_sub"
    assert metadata["versions"] == ["1"]
    assert metadata["platform"] == "onnxruntime_onnx"
    inputs = {tensor["name"]: tensor for tensor in metadata["inputs"]}
    assert inputs.keys() == {"INPUT0", "INPUT1"}
    assert inputs["INPUT0"]["datatype"] == "FP32"
    assert [int(dim) for dim in inputs["INPUT0"]["shape"]] == [-1, 16]
    assert [tensor["name"] for tensor in metadata["outputs"]] == ["OUTPUT0", "OUTPUT1"]


def test_metadata_lists_served_versions(door):
    metadata = door.json(door.client.get_model_metadata("versioned"))
    assert sorted(metadata["versions"]) == ["1", "3"]


def test_metadata_of_unknown_model(door):
    with door.refuses("not found", "nothing"):
        door.client.get_model_metadata("nothing")


def test_metadata_of_unknown_version(door):
    with door.refuses("not found", "2"):
        door.client.get_model_metadata("versioned", "2")


def test_configuration(door):
    reply = door.json(door.client.get_model_config("add_sub"))
    config = reply["config"] if door.name == "grpc" else reply
    assert config["name"] == "add_sub"
    assert config["max_batch_size"] == 8
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    assert [int(dim) for dim in config["input"][0]["dims"]] == [16]
    assert config["output"][0]["label_filename"] == "labels.txt"
    assert config["dynamic_batching"]["preferred_batch_size"] == [4, 8]
    assert int(config["dynamic_batching"]["max_queue_delay_microseconds"]) == 500
    assert config["instance_group"][0]["count"] == 2
    assert config["instance_group"][0]["kind"] == "KIND_CPU"
    assert config["parameters"]["color"]["string_value"] == "blue"


def test_configuration_of_an_ensemble(door):
    reply = door.json(door.client.get_model_config("ensemble"))
    config = reply["config"] if door.name == "grpc" else reply
    steps = config["ensemble_scheduling"]["step"]
    assert [step["model_name"] for step in steps] == ["add4", "versioned"]
    assert steps[1]["input_map"] == {"INPUT0": "half"}
    assert int(steps[0]["model_version"]) == -1


def test_version_policy_is_shown(door):
    reply = door.json(door.client.get_model_config("versioned"))
    config = reply["config"] if door.name == "grpc" else reply
    assert [int(v) for v in config["version_policy"]["specific"]["versions"]] == [1, 3]


def statistics(door, model, version=""):
    reply = door.json(door.client.get_inference_statistics(model, version))
    return reply["model_stats"][0]


def test_statistics_count_requests(door):
    before = statistics(door, "add4")
    values = np.ones((2, 4), np.float32)
    door.infer("add4", [door.input("INPUT0", values), door.input("INPUT1", values)])
    after = statistics(door, "add4")
    assert int(after["inference_count"]) == int(before["inference_count"]) + 2
    assert int(after["execution_count"]) == int(before["execution_count"]) + 1
    success = after["inference_stats"]["success"]
    assert int(success["count"]) == int(before["inference_stats"]["success"]["count"]) + 1
    assert int(success["ns"]) > 0
    assert abs(int(after["last_inference"]) / 1000 - time.time()) < 60
    assert any(int(batch["batch_size"]) == 2 for batch in after["batch_stats"])


def test_statistics_of_all_models(door):
    reply = door.json(door.client.get_inference_statistics())
    names = {stats["name"] for stats in reply["model_stats"]}
    assert {"add_sub", "versioned", "ensemble"} <= names


def test_statistics_of_unknown_model(door):
    with door.refuses("not found", "nothing"):
        door.client.get_inference_statistics("nothing")


def test_log_settings_change_and_stay(door):
    def plain(reply):
        if door.name == "rest":
            return reply
        return {key: next(iter(value.values()))
                for key, value in door.json(reply)["settings"].items()}

    before = plain(door.client.get_log_settings())
    try:
        changed = plain(door.client.update_log_settings({"log_verbose_level": 1}))
        assert changed["log_verbose_level"] == 1
        assert plain(door.client.get_log_settings())["log_verbose_level"] == 1
    finally:
        door.client.update_log_settings({"log_verbose_level": before["log_verbose_level"]})


def test_unknown_log_setting(door):
    with door.refuses("invalid", "log_color"):
        door.client.update_log_settings({"log_color": True})


def test_trace_settings(door):
    def rate(reply):
        reply = door.json(reply)
        value = reply["settings"]["trace_rate"]["value"] if door.name == "grpc" \
            else reply["trace_rate"]
        return value[0] if isinstance(value, list) else value

    door.client.update_trace_settings(settings={"trace_rate": "77"})
    assert rate(door.client.get_trace_settings()) == "77"
    door.client.update_trace_settings(model_name="add_sub", settings={"trace_rate": "5"})
    assert rate(door.client.get_trace_settings("add_sub")) == "5"
    door.client.update_trace_settings(model_name="add_sub", settings={"trace_rate": None})
    assert rate(door.client.get_trace_settings("add_sub")) == "77"
    door.client.update_trace_settings(settings={"trace_rate": None})
    assert rate(door.client.get_trace_settings()) == "1000"


def test_trace_settings_of_unknown_model(door):
    with door.refuses("not found", "nothing"):
        door.client.get_trace_settings("nothing")


HEALTH = "/grpc.health.v1.Health/"


def test_health_check(server):
    with grpc.insecure_channel(server.grpc) as channel:
        assert channel.unary_unary(HEALTH + "Check")(b"") == b"\x08\x01"
        assert channel.unary_unary(HEALTH + "Check")(b"\x0a\x07add_sub") == b"\x08\x01"


def test_health_of_unknown_service(server):
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(HEALTH + "Check")(b"\x0a\x07nothing")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_watch(server):
    with grpc.insecure_channel(server.grpc) as channel:
        known = channel.unary_stream(HEALTH + "Watch")(b"")
        assert next(known) == b"\x08\x01"
        known.cancel()
        unknown = channel.unary_stream(HEALTH + "Watch")(b"\x0a\x07nothing")
        assert next(unknown) == b"\x08\x03"
        unknown.cancel()


def test_unknown_method(server):
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/inference.GRPCInferenceService/Nothing")(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_malformed_message(server):
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/inference.GRPCInferenceService/ModelReady")(b"\x0a\xff")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_raw_stub_sees_every_field(server):
    """The generated classes read our messages without unknown fields."""
    with grpc.insecure_channel(server.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        reply = stub.ModelConfig(service_pb2.ModelConfigRequest(name="ensemble"))
    assert reply.config.ensemble_scheduling.step[1].output_map["OUTPUT0"] == "SUM"

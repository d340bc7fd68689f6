# SPDX-License-Identifier: Apache-2.0

import openai
import pytest


def test_models_are_listed(client, embedder):
    models = client.models.list()
    assert models.object == "list"
    assert embedder in [model.id for model in models.data]
    assert all(model.object == "model" for model in models.data)
    assert all(model.created >= 0 and model.owned_by for model in models.data)


def test_one_model_is_described(client, embedder):
    model = client.models.retrieve(embedder)
    assert model.id == embedder
    assert model.object == "model"


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"
    assert "no-such-model" in str(caught.value)

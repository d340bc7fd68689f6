# SPDX-License-Identifier: Apache-2.0
"""The peers: sentence-transformers, or onnxruntime with tokenizers, behind FastAPI, answering the
OpenAI embeddings route.

    python peer_server.py st|ort MODEL_FOLDER PORT THREADS
"""

import pathlib
import sys

kind, folder, port, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

if kind == "st":
    import torch
    torch.set_num_threads(threads)
    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer(folder, device="cpu")

    def embed(texts):
        return model.encode(texts, batch_size=32, normalize_embeddings=True).tolist()
else:
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(sys.argv[5], options, providers=["CPUExecutionProvider"])

    def embed(texts):
        encoded = tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encoded], dtype=np.int64)
        mask = np.array([e.attention_mask for e in encoded], dtype=np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, {i.name: feeds[i.name] for i in session.get_inputs()})[0]
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).tolist()

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Request(BaseModel):
    model: str
    input: str | list[str]


@app.post("/v1/embeddings")
def embeddings(request: Request):
    texts = [request.input] if isinstance(request.input, str) else request.input
    return {"object": "list", "model": request.model, "data": [
        {"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(embed(texts))]}


@app.get("/ready")
def ready():
    return {}


embed(["warm up"] * 4)
uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)

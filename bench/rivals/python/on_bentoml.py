"""The workloads on BentoML.   bentoml serve on_bentoml:W1Gateway

Methods of leaves are plain `def` where BentoML's documentation has them so, and `async` where only the hop counts.
TUNED=1 sets what an expert would: stock BentoML gives up a hop's connections every 100 requests, and with them the
requests in flight, and writes a log line a request.
"""

import asyncio
import os

import bentoml
import numpy as np

from workload_maths import count_trigrams, create_matrix, create_picture, pick_label, score_labels, total

OPTIONS: dict = {}
if os.environ.get("TUNED") == "1":
    OPTIONS = {
        "runner_connection": {"max_requests": 10**9, "max_age": 1e9},
        "logging": {"access": {"enabled": False}},
    }


@bentoml.service(**OPTIONS)
class Echo:
    @bentoml.api
    async def echo(self, text: str) -> str:
        return text


@bentoml.service(**OPTIONS)
class W1Gateway:
    backend = bentoml.depends(Echo)

    @bentoml.api
    async def run(self, text: str) -> dict:
        return {"text": await self.backend.echo(text)}


@bentoml.service(**OPTIONS)
class Preprocess:
    @bentoml.api
    def features(self, text: str) -> np.ndarray:
        return count_trigrams(text)


@bentoml.service(**OPTIONS)
class Model:
    def __init__(self) -> None:
        self.weights = create_matrix(42)

    @bentoml.api
    def infer(self, vector: np.ndarray) -> np.ndarray:
        return score_labels(vector, self.weights)


@bentoml.service(**OPTIONS)
class Postprocess:
    @bentoml.api
    def label(self, scores: np.ndarray) -> dict:
        return pick_label(scores)


@bentoml.service(**OPTIONS)
class Pipeline:
    preprocess = bentoml.depends(Preprocess)
    model = bentoml.depends(Model)
    postprocess = bentoml.depends(Postprocess)

    @bentoml.api
    async def predict(self, raw_input: str) -> dict:
        vector = await self.preprocess.to_async.features(raw_input)
        scores = await self.model.to_async.infer(vector)
        return await self.postprocess.to_async.label(scores)


@bentoml.service(**OPTIONS)
class ModelA:
    def __init__(self) -> None:
        self.weights = create_matrix(1)

    @bentoml.api
    def infer(self, vector: np.ndarray) -> np.ndarray:
        return score_labels(vector, self.weights)


@bentoml.service(**OPTIONS)
class ModelB:
    def __init__(self) -> None:
        self.weights = create_matrix(2)

    @bentoml.api
    def infer(self, vector: np.ndarray) -> np.ndarray:
        return score_labels(vector, self.weights)


@bentoml.service(**OPTIONS)
class Aggregator:
    @bentoml.api
    def combine(self, a: np.ndarray, b: np.ndarray) -> dict:
        return pick_label((a + b) / 2)


@bentoml.service(**OPTIONS)
class Ensemble:
    pre = bentoml.depends(Preprocess)
    model_a = bentoml.depends(ModelA)
    model_b = bentoml.depends(ModelB)
    aggregator = bentoml.depends(Aggregator)

    @bentoml.api
    async def run(self, data: str) -> dict:
        vector = await self.pre.to_async.features(data)
        a, b = await asyncio.gather(
            self.model_a.to_async.infer(vector), self.model_b.to_async.infer(vector)
        )
        return await self.aggregator.to_async.combine(a, b)


@bentoml.service(**OPTIONS)
class Doubler:
    @bentoml.api
    async def double(self, picture: np.ndarray) -> np.ndarray:
        return picture * np.float32(2)


@bentoml.service(**OPTIONS)
class W6Gateway:
    doubler = bentoml.depends(Doubler)

    @bentoml.api
    async def run(self, seed: int) -> dict:
        return {"sum": total(await self.doubler.double(create_picture(seed)))}

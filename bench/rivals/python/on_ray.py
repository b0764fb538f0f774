"""The workloads on Ray Serve.   on_ray.py WORKLOAD PORT

One replica a deployment with 0.1 CPU, so that five fit on two cores; at most 300 requests in flight in each (Ray's default
is 5), so that 256 connections can be. All else is as Ray has it: the entry takes a Starlette request and checks no body, and
answers that nobody waits for are handed on.
"""

import sys

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

from workload_maths import count_trigrams, create_matrix, create_picture, pick_label, score_labels, total

deployment = serve.deployment(max_ongoing_requests=300, ray_actor_options={"num_cpus": 0.1})


class Entry:
    """POST runs the workload; GET, on any path, runs a sample: it shows that the whole graph is ready."""

    sample: dict = {}

    async def __call__(self, request: Request):
        if request.method == "GET":
            return await self.run(**self.sample)
        return await self.run(**await request.json())


@deployment
class Echo:
    async def echo(self, text: str) -> str:
        return text


@deployment
class W1Gateway(Entry):
    sample = {"text": "hello"}

    def __init__(self, backend) -> None:
        self.backend = backend

    async def run(self, text: str) -> dict:
        return {"text": await self.backend.echo.remote(text)}


@deployment
class Preprocess:
    def features(self, text: str) -> np.ndarray:
        return count_trigrams(text)


@deployment
class Model:
    def __init__(self, seed: int) -> None:
        self.weights = create_matrix(seed)

    def infer(self, vector: np.ndarray) -> np.ndarray:
        return score_labels(vector, self.weights)


@deployment
class Postprocess:
    def label(self, scores: np.ndarray) -> dict:
        return pick_label(scores)


@deployment
class Pipeline(Entry):
    sample = {"raw_input": "the quick brown fox"}

    def __init__(self, preprocess, model, postprocess) -> None:
        self.preprocess, self.model, self.postprocess = preprocess, model, postprocess

    async def run(self, raw_input: str) -> dict:
        vector = self.preprocess.features.remote(raw_input)
        scores = self.model.infer.remote(vector)
        return await self.postprocess.label.remote(scores)


@deployment
class Aggregator:
    def combine(self, a: np.ndarray, b: np.ndarray) -> dict:
        return pick_label((a + b) / 2)


@deployment
class Ensemble(Entry):
    sample = {"data": "the quick brown fox"}

    def __init__(self, pre, model_a, model_b, aggregator) -> None:
        self.pre, self.model_a, self.model_b, self.aggregator = pre, model_a, model_b, aggregator

    async def run(self, data: str) -> dict:
        vector = self.pre.features.remote(data)
        return await self.aggregator.combine.remote(
            self.model_a.infer.remote(vector), self.model_b.infer.remote(vector)
        )


@deployment
class Doubler:
    async def double(self, picture: np.ndarray) -> np.ndarray:
        return picture * np.float32(2)


@deployment
class W6Gateway(Entry):
    sample = {"seed": 1}

    def __init__(self, doubler) -> None:
        self.doubler = doubler

    async def run(self, seed: int) -> dict:
        return {"sum": total(await self.doubler.double.remote(create_picture(seed)))}


def create_app(workload: str):
    if workload == "w1":
        return W1Gateway.bind(Echo.bind())
    if workload == "w2":
        return Pipeline.bind(Preprocess.bind(), Model.bind(42), Postprocess.bind())
    if workload == "w3":
        model_a = Model.options(name="ModelA").bind(1)
        model_b = Model.options(name="ModelB").bind(2)
        return Ensemble.bind(Preprocess.bind(), model_a, model_b, Aggregator.bind())
    return W6Gateway.bind(Doubler.bind())


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
    serve.run(create_app(sys.argv[1]), blocking=True)

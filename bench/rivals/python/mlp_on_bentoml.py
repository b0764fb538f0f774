"""W5 on BentoML, its adaptive batching as documented.   bentoml serve mlp_on_bentoml:Mlp"""

import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service
class Mlp:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MLP_ONNX"], options, providers=["CPUExecutionProvider"])

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=10000)
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"x": np.asarray(inputs, dtype=np.float32)})[0]

"""W5 on Mosec: one stage, batched in its server. --wait is the window in milliseconds."""

import os

import numpy as np
import onnxruntime as ort
from mosec import Server, Worker


class Mlp(Worker):
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MLP_ONNX"], options, providers=["CPUExecutionProvider"])

    def forward(self, data: list) -> list:
        blocks = [np.asarray(item["inputs"], dtype=np.float32) for item in data]
        scores = self.session.run(None, {"x": np.concatenate(blocks)})[0]
        return [part.tolist() for part in np.split(scores, np.cumsum([len(block) for block in blocks])[:-1])]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Mlp, max_batch_size=64, route="/predict")
    server.run()

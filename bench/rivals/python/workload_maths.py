"""The arithmetic of the workloads, as in bench/workloads/maths.ts."""

import numpy as np

FEATURES, LABELS = 128, 8
PICTURE_SHAPE = (1, 3, 224, 224)
BASE = ((np.arange(3 * 224 * 224) % 1000) / 1000.0).astype(np.float32).reshape(PICTURE_SHAPE)


def create_matrix(seed: int) -> np.ndarray:
    state = seed
    values = np.empty(FEATURES * LABELS, dtype=np.float32)
    for index in range(values.size):
        state = (1664525 * state + 1013904223) % 2**32
        values[index] = state / 2**32 * 2 - 1
    return values.reshape(FEATURES, LABELS)


def count_trigrams(text: str) -> np.ndarray:
    data = text.encode()
    counts = np.zeros(FEATURES, dtype=np.float32)
    for start in range(len(data) - 2):
        value = 2166136261
        for byte in data[start : start + 3]:
            value = (value ^ byte) * 16777619 % 2**32
        counts[value % FEATURES] += 1
    norm = np.float32(np.sqrt((counts * counts).sum()))
    return counts / norm if norm > 0 else counts


def score_labels(vector: np.ndarray, weights: np.ndarray) -> np.ndarray:
    sums = vector @ weights
    powers = np.exp(sums - sums.max())
    return (powers / powers.sum()).astype(np.float32)


def pick_label(scores: np.ndarray) -> dict:
    label = int(scores.argmax())
    return {"label": label, "confidence": float(scores[label])}


def create_picture(seed: int) -> np.ndarray:
    return BASE * np.float32(seed)


def total(picture: np.ndarray) -> float:
    return float(picture.sum(dtype=np.float64))

"""Areas under the ROC curve, exact, ties counted half, as scikit-learn's roc_auc_score has them."""
import numpy as np


def auroc(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """The probability that an anomalous score lies above a normal one; NaN where either is missing."""
    if not len(normal) or not len(anomalous):
        return float("nan")
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, anomalous, "left").sum(dtype=np.float64)
    not_above = np.searchsorted(ordered, anomalous, "right").sum(dtype=np.float64)
    return float((below + not_above) / 2 / len(normal) / len(anomalous))


def best_boundary(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """The boundary that separates best, mean of both error rates; the middle of the gap where several do."""
    at = np.unique(np.concatenate([normal, anomalous]))
    middles = (at[1:] + at[:-1]) / 2
    missed = np.searchsorted(np.sort(anomalous), middles) / len(anomalous)
    false = 1 - np.searchsorted(np.sort(normal), middles) / len(normal)
    error = missed + false
    best = middles[error <= error.min() + 1e-12]
    return float(best[len(best) // 2])


def best_f1(normal: np.ndarray, anomalous: np.ndarray, steps: int = 500) -> float:
    """The boundary between pixels with the highest F1."""
    at = np.quantile(np.concatenate([anomalous, normal[:: max(1, len(normal) // len(anomalous))]]), np.linspace(0, 1, steps))
    hits = len(anomalous) - np.searchsorted(np.sort(anomalous), at)
    false = len(normal) - np.searchsorted(np.sort(normal), at)
    return float(at[np.argmax(2 * hits / (hits + false + len(anomalous)))])

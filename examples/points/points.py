"""The steps of the example, as decorated functions: each port is a Path, the other arguments are parameters, what is returned are metrics."""

import shutil

import numpy as np

from workflows.step import step

CLASSES = 3


@step(outputs={"train": "npy", "test": "npy"})
def split(train, test, *, seed, count):
    """Points of three classes that overlap, as rows (x, y, 1, class); a quarter of them to test on."""
    rng = np.random.default_rng(seed)
    label = rng.integers(CLASSES, size=count)
    places = np.array([[0.0, 2.0], [-2.0, -1.0], [2.0, -1.0]])[label] + rng.normal(scale=1.2, size=(count, 2))
    rows = np.column_stack([places, np.ones(count), label])
    save(test, rows[: count // 4])
    save(train, rows[count // 4 :])
    print(f"{count} points")


@step(inputs={"data": "npy"}, outputs={"model": "npy"})
def train(data, model, *, rate):
    """Fit a softmax regression by gradient descent."""
    rows = np.load(data)
    points, wanted = rows[:, :-1], np.eye(CLASSES)[rows[:, -1].astype(int)]
    weights = np.zeros((points.shape[1], CLASSES))
    for _ in range(100):
        odds = np.exp(points @ weights)
        weights -= rate * points.T @ (odds / odds.sum(axis=1, keepdims=True) - wanted) / len(points)
    save(model, weights.astype(np.float32))
    print(f"fitted at rate {rate}")


@step(inputs={"data": "npy", "models": "list[npy]"}, outputs={"best": "npy"})
def choose(data, models, best):
    """Keep the classifier that is right most often."""
    rows = np.load(data)
    scores = {}
    for path in sorted(models.iterdir(), key=lambda one: int(one.name)):
        scores[path] = float(((rows[:, :-1] @ np.load(path)).argmax(axis=1) == rows[:, -1]).mean())
        print(f"model {path.name}: accuracy {scores[path]:.3f}")
    chosen = max(scores, key=scores.__getitem__)
    shutil.copyfile(chosen, best)
    return {"accuracy": scores[chosen]}


def save(path, array):
    """`numpy.save` would add .npy to the name of the port."""
    with path.open("wb") as file:
        np.save(file, array)

"""Clean images and tiny pipelines in a state folder: what a gallery is hung from, made in milliseconds."""

import json

import numpy as np

from agents.doors.gallery import Gallery
from agents.doors.shelf import Shelf
from models.pipeline import MANIFEST, Manifest, Pipeline, write_manifest
from models.reference import Reference
from scenarios.datasets import to_float
from tests.serving.tiny import CENTRES, CLASSES, write_pipeline

SIDE = 28
COUNT = 60


def clean_images():
    """uint8 [60, 28, 28], each of one grey, and their classes: dark, middle, bright by turns."""
    labels = np.arange(COUNT) % 3
    greys = 255 * (np.array(CENTRES)[labels] + np.linspace(-0.05, 0.05, COUNT))
    return np.broadcast_to(np.rint(greys)[:, None, None], (COUNT, SIDE, SIDE)).astype(np.uint8), labels.astype(np.int64)


def hang(state, name="digits-first", **route):
    """A pipeline of that name whose reference is of the clean images, which are kept in the state folder; `route` as in `write_pipeline`."""
    images, labels = clean_images()
    data = state.folder / "data" / "tiny"
    data.mkdir(parents=True, exist_ok=True)
    np.savez(data / "train.npz", images=images, labels=labels)
    (data / "about.json").write_text(json.dumps({"classes": CLASSES}))
    folder = write_pipeline(state.pipeline(name), name, version=name, shape=(1, SIDE, SIDE), **route)
    out, middle = Pipeline.load(folder).run(to_float(images)), {"calibration_labels": labels, "fit_labels": labels, "clean_accuracy": 1.0}
    chosen = np.random.default_rng(0).permutation(COUNT)  # a reference that is drawn from fewer images than it may hold has all of them
    chosen.sort()
    parts = {f"{part}_{kind}": getattr(out, kind)[chosen] for part in ("fit", "calibration") for kind in ("early", "latent")}
    Reference.from_arrays({**parts, **middle, "calibration_logits": out.logits}).save(folder / "reference.npz")
    before = Manifest.parse((folder / MANIFEST).read_bytes())
    write_manifest(folder, name=name, version=name, input=(1, SIDE, SIDE), classes=CLASSES, routes=before.routes, remedy=before.remedy)
    return Gallery(Shelf(state), "tiny", state.folder / "data")

"""A scene with a real model behind it: traffic that was answered, clean images, and filters that were learned. Takes a minute to make."""

import numpy as np

from agents.doors.gallery import Gallery
from agents.doors.shelf import Shelf
from agents.messages import RemedyPrepared
from models.pipeline import Pipeline
from scenarios.corruptions import corrupt
from scenarios.datasets import load, to_float
from tests.web.scene import FIRST, Scene
from workflows.serving.service import Service
from workflows.steps.prepare import prepare
from workflows.steps.train import train
from workflows.steps.window import Window

MODEL = "digits-first"
CLEAN, DRIFTED, SEED = FIRST - 1, 600, 0


class Furnished(Scene):
    """`service` has answered clean images and then drifted ones; people are asked about some of these."""

    def furnish(self):
        """Train, answer the traffic, keep the window of the incident. What the scene asks about are records of that traffic."""
        folder = self.state.pipeline(MODEL)
        train("digits", folder, name=MODEL)
        self.service = Service()
        self.service.load(folder)
        self.service.activate(MODEL)
        clean, held = load("digits", "calibration"), load("digits", "test")
        draw = np.random.default_rng(SEED)
        for part in np.array_split(draw.integers(0, len(clean), CLEAN), 3):
            self.service.infer(to_float(clean.images[part]))
        rows = draw.integers(0, len(held), DRIFTED)
        drifted = corrupt(held.images[rows], "impulse_noise", 3, seed=SEED)
        answers = self.service.infer(to_float(drifted))
        asked = 7 * np.arange(len(self.images))
        self.images = dict(zip((FIRST + asked).tolist(), drifted[asked], strict=True))
        self.answers = [held.classes[label] for label in held.labels[rows[asked]]]
        out = Pipeline.load(folder).run(to_float(drifted))
        self.window = self.reception._evidence.keep(
            "digits-1", "window", Window(answers.seqs, drifted, out.early, out.latent, out.logits, answers.labels)
        )
        self._kept = True
        self.reception.gallery = Gallery(Shelf(self.state), "digits", None)
        self.reception._inference = self.service

    def learn(self, remedy="filter", budget=30.0):
        """Prepare a remedy as the workshop does."""
        folder, base = self.state.pipeline(f"digits-1-{remedy}"), self.state.pipeline(MODEL)
        prepare(
            remedy=remedy, base=base, folder=folder, name=folder.name, window=self.window, reference=base / "reference.npz", teaching=[], labels=[],
            dataset="digits", root=None, seed=SEED, named=("impulse_noise", 3.0), budget=budget,
        )  # fmt: skip
        said = {"accuracy_clean": 0.99, "clean_loss": 0.0, "latency_added": 0.0004, "seconds": 30.0, "version": "2"}
        self.say(RemedyPrepared, "workshop", remedy=remedy, pipeline=folder.name, **said)

"""Every check keeps the contract, those of other packages among them."""

from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from models import plugins
from models.checks import ContractError, check_weakness
from models.estimators.novelty import Looks
from models.weaknesses import catalogue
from models.weaknesses.check import MissingColumnError, Records
from models.weaknesses.decay import Decay
from models.weaknesses.quality import facts_of
from models.weaknesses.synthetic import labelled
from models.weaknesses.unknown_class import UnknownClass
from scenarios.datasets import load


def blank():
    records = labelled(300, seed=5)
    records.images[40:] = 0
    return replace(records, facts=facts_of(records.images))


def one_site_fares_worse():
    return labelled(1500, seed=5, accuracy=0.97, worse_in="south", worse=0.6)


ALARMING = {
    "drift": (lambda: labelled(300, seed=5, shift=1.5), {}),
    "decay": (lambda: labelled(300, seed=5, accuracy=0.7), {}),
    "bias": (one_site_fares_worse, {"attributes": ("site",)}),
    "adversarial": (lambda: labelled(300, seed=5, accuracy=0.6), {}),
    "quality": (blank, {}),
    "unknown_class": (lambda: labelled(300, seed=5, shift=1.5), {}),
}


@pytest.mark.parametrize("name", catalogue.names())
def test_a_check_keeps_the_contract(name):
    records, parameters = ALARMING.get(name, (lambda: None, {}))
    make = catalogue.maker(name)

    def mine(reference):
        return make(reference, **parameters)

    mine.__doc__ = make.__doc__ or make.__module__ * 9
    check_weakness(mine, records=records())


def test_pictures_that_are_spoiled_are_no_unknown_class_and_clean_ones_of_something_odd_are():
    digits = load("digits", "train").images
    looks, odd = Looks.fit(digits[:400]), labelled(300, seed=5, shift=1.5)
    check = UnknownClass(catalogue_reference())
    noise = np.random.default_rng(0).integers(0, 256, size=(300, *digits.shape[1:]), dtype=np.uint8)
    evidence = check.update(replace(odd, spoiled=looks.beyond_clean(noise)))
    assert not evidence.alarm
    assert evidence.details["spoiled"] > 0.9
    check.reset()
    assert check.update(replace(odd, spoiled=looks.beyond_clean(digits[400:700]))).alarm


def test_a_new_class_is_judged_when_enough_pictures_are_known():
    odd = labelled(120, seed=5, shift=1.5)
    unknown = np.where(np.arange(120) < 60, np.nan, 0.0)
    evidence = UnknownClass(catalogue_reference()).update(replace(odd, spoiled=unknown))
    assert evidence.at >= 110
    assert UnknownClass(catalogue_reference()).update(replace(odd, spoiled=np.zeros(120))).at <= 60


def catalogue_reference():
    from models.weaknesses.synthetic import labelled_reference

    return labelled_reference()


class CriesWolf(Decay):
    """Alarms whatever comes, and says so in a documentation that is long enough."""

    def update(self, records):
        super().update(records)
        return self.evidence

    @property
    def evidence(self):
        return replace(super().evidence, alarm=True, at=1, since=1)


class ForgetsItsState(Decay):
    """Goes on from nothing when it is restored, in a documentation that is long enough."""

    def restore(self, state):
        self.reset()
        super().restore(b"\xc1") if state == b"\xc1 damaged" else None


class PeeksAtTheBatch(Decay):
    """Says something that depends on how records are cut into batches, in a documentation that is long enough."""

    def update(self, records):
        evidence = super().update(records)
        return replace(evidence, value=evidence.value + len(records))


@pytest.mark.parametrize(("broken", "fault"), [
    (CriesWolf, "3,000 clean records|without one"), (ForgetsItsState, "does not go on as if"), (PeeksAtTheBatch, "says something else|when records come"),
])  # fmt: skip
def test_a_broken_promise_is_named(broken, fault):
    with pytest.raises(ContractError, match=fault):
        check_weakness(broken, records=labelled(300, seed=5, accuracy=0.7))


def test_a_check_of_another_package_is_found_by_its_entry_point(monkeypatch):
    points = [EntryPoint("late_labels", "models.weaknesses.decay:Decay", catalogue.GROUP)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == catalogue.GROUP else [])
    assert catalogue.names()[-1] == "late_labels"
    assert isinstance(catalogue.make("late_labels", catalogue_reference()), Decay)
    points.append(EntryPoint("decay", "elsewhere:Decay", catalogue.GROUP))
    with pytest.raises(ValueError, match="a name in use"):
        catalogue.names()


def test_records_without_what_a_check_needs_are_refused_with_where_it_comes_from():
    records = labelled(5, seed=0)
    with pytest.raises(MissingColumnError, match="true labels come later"):
        Decay(catalogue_reference()).update(replace(records, truth=None))
    with pytest.raises(ValueError, match="latent has 4 rows for 5 records"):
        replace(records, latent=records.latent[:4])


def test_columns_are_cut_together():
    part = replace(labelled(6, seed=0), refused=3).part(2, 4)
    assert isinstance(part, Records)
    assert part.seqs.tolist() == [3, 4]
    assert len(part.slices["site"]) == len(part.facts) == 2
    assert part.refused == 0


def test_partial_makers_are_fine_too():
    check = partial(Decay, tolerance=0.1)(catalogue_reference())
    assert check.needed < 0.9

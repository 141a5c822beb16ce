import dataclasses

import msgspec
import numpy as np
import pytest

from scenarios.corruptions import corrupt
from scenarios.datasets import load
from scenarios.foreign import letters
from scenarios.replay import Answers, ClientError, Replay, Scenario, ScenarioError, Segment
from scenarios.source import Source

DIGITS = load("digits", "test")
KNOWN = {image.tobytes(): int(label) for image, label in zip(DIGITS.images, DIGITS.labels, strict=True)}


class Memory:
    """A client whose service knows every clean test image by heart, and says 0 to all others."""

    def __init__(self, fail_at=()):
        self.sent, self.version, self.fail_at, self.requests = [], "v1", fail_at, 0

    def infer(self, images):
        self.requests += 1
        if self.requests in self.fail_at:
            raise ClientError("the service is gone")
        first = sum(len(batch) for batch in self.sent) + 1
        self.sent.append(images)
        labels = np.array([KNOWN.get(image.tobytes(), 0) for image in images], np.int64)
        return Answers(np.arange(first, first + len(images)), labels, self.version, 0.001)

    @property
    def images(self):
        return np.concatenate(self.sent)


def scenario(*segments, **more):
    return Scenario(name="mine", segment=tuple(segments), **{"batch": 20, **more})


def run_all(replay):
    return [segment.run() for segment in replay.segments()]


def test_clean_traffic_is_sent_in_batches_and_scored_from_the_answers():
    client = Memory()
    [score] = run_all(Replay(scenario(Segment(records=50)), client))
    assert [len(batch) for batch in client.sent] == [20, 20, 10]
    assert score.accuracy == 1.0 and score.all.total == 50 and score.changed.total == 0
    assert {image.dtype for image in client.sent} == {np.dtype(np.uint8)}


def test_a_drifted_segment_sends_corrupted_images_only():
    client = Memory()
    clean, drifted = run_all(Replay(scenario(Segment(records=40), Segment(records=200, corruption="stripe")), client))
    assert clean.accuracy == 1.0
    assert drifted.changed.total == drifted.all.total == 200 and drifted.accuracy < 0.3
    stripes = {image.tobytes() for image in corrupt(DIGITS.images, "stripe", seed=0)}
    assert {image.tobytes() for image in client.images[40:]} <= stripes


def test_a_gradual_drift_has_ever_more_corrupted_images():
    replay = Replay(scenario(Segment(records=2000, corruption="stripe", share=(0.0, 1.0)), batch=500), Memory())
    [segment] = replay.segments()
    counts = [segment.next_batch().changed.sum() for _ in range(4)]
    assert counts == sorted(counts) and 30 < counts[0] < 100 and 400 < counts[3] < 470


def test_a_share_of_the_images_can_be_corrupted():
    [score] = run_all(Replay(scenario(Segment(records=1000, corruption="stripe", share=0.3)), Memory()))
    assert 250 < score.changed.total < 350 and score.all.total == 1000


def test_the_same_seed_sends_the_same_traffic_and_another_seed_other():
    clients = [Memory(), Memory(), Memory()]
    for client, seed in zip(clients, (1, 1, 2), strict=True):
        run_all(Replay(scenario(Segment(records=40, corruption="shot_noise")), client, seed=seed))
    assert np.array_equal(clients[0].images, clients[1].images)
    assert not np.array_equal(clients[0].images, clients[2].images)


def test_fresh_images_are_never_among_those_of_the_stream():
    client = Memory()
    replay = Replay(scenario(Segment(records=1000)), client)
    run_all(replay)
    stream, before = {image.tobytes() for image in client.images}, len(client.images)
    assert replay.fresh(n=250) == 1.0
    fresh = [image.tobytes() for image in client.images[before:]]
    assert len(set(fresh)) == 250 and not stream & set(fresh)


def test_fresh_drifted_images_are_corrupted_and_scored_and_drawn_anew_each_time():
    client = Memory()
    replay = Replay(scenario(Segment(records=1)), client)
    assert replay.fresh("stripe", n=60) < 0.3
    score = replay.score_fresh("rotate", 1, 60)
    assert score.changed.total == 60 and list(score.changed_by_version) == ["v1"]
    assert len({image.tobytes() for image in client.images[60:]}) == 60


def test_the_person_and_nobody_else_learns_true_labels_by_sequence_number():
    client = Memory()
    replay = Replay(scenario(Segment(records=40, corruption="stripe")), client)
    with pytest.raises(KeyError):
        replay.true_label(1)
    [segment] = replay.segments()
    sent = segment.next_batch()
    plain = {corrupt(image[None], "stripe", seed=0).tobytes(): label for image, label in zip(DIGITS.images, DIGITS.labels, strict=True)}
    assert [replay.person().label(int(seq)) for seq in sent.seqs] == [plain[image.tobytes()] for image in client.images]
    assert "truth" not in {field.name for field in dataclasses.fields(sent)}


def test_foreign_images_have_no_true_class_and_do_not_count_for_accuracy():
    client = Memory()
    replay = Replay(scenario(Segment(records=400, unknown_class="letters", share=0.5)), client)
    [segment] = replay.segments()
    score = segment.run()
    assert segment.kind == "unknown class"
    assert 150 < score.foreign < 250 and score.all.total == 400 - score.foreign and score.accuracy == 1.0
    strangers = [seq for seq in range(1, 401) if replay.true_label(seq) == -1]
    assert len(strangers) == score.foreign
    assert replay.person().label(strangers[0]) == "none of these"


def test_a_failed_request_is_counted_with_its_reason_and_the_traffic_goes_on():
    replay = Replay(scenario(Segment(records=60)), Memory(fail_at=(2,)))
    [segment] = replay.segments()
    sent = [segment.next_batch() for _ in range(4)]
    assert [batch.failed for batch in sent[:3]] == [0, 20, 0] and sent[3] is None
    assert len(sent[1].seqs) == 0 and len(sent[1].changed) == 20
    assert replay.failed == segment.score.failed == 20
    assert segment.score.last_failure == "the service is gone"
    assert segment.score.all.total == 40 and segment.score.accuracy == 1.0


def test_accuracy_is_kept_for_each_version_that_answered():
    client = Memory()
    replay = Replay(scenario(Segment(records=60)), client)
    [segment] = replay.segments()
    segment.next_batch()
    client.version = "v2"
    score = segment.run()
    assert {version: tally.total for version, tally in score.by_version.items()} == {"v1": 20, "v2": 40}


def test_an_empty_score_has_no_accuracy_rather_than_a_made_up_one():
    [segment] = Replay(scenario(Segment(records=1)), Memory()).segments()
    assert np.isnan(segment.score.accuracy)


def test_whoever_replays_ends_a_segment_that_lasts_until_something_happens():
    client = Memory()
    [segment] = Replay(scenario(Segment(records=10_000, until="closed")), client).segments()
    segment.run(lambda: client.requests >= 3)
    assert segment.sent == 60 and not segment.done
    segment.stop()
    assert segment.done and segment.next_batch() is None


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self):
        self.now, self.waits = 0.0, []

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


def test_a_rate_spreads_the_batches_over_time():
    clock = Clock()
    [segment] = Replay(scenario(Segment(records=100), rate=40.0), Memory()).segments()
    segment.run(clock=clock, wait=clock.wait)
    assert len(clock.waits) == 4  # before each batch but the first
    assert clock.now == pytest.approx(4 * 20 / 40, abs=0.01)


def test_a_slow_service_is_not_flooded_to_make_up_for_lost_time():
    clock = Clock()

    class Slow(Memory):
        def infer(self, images):
            clock.now += 10.0 if self.requests == 1 else 0.0
            return dataclasses.replace(super().infer(images), seconds=10.0 if self.requests == 2 else 0.0)

    [segment] = Replay(scenario(Segment(records=100), rate=40.0), Slow()).segments()
    segment.run(clock=clock, wait=clock.wait)
    assert clock.now == pytest.approx(0.5 + 10 + 2 * 0.5, abs=0.01)


def test_without_a_rate_nobody_waits():
    clock = Clock()
    [segment] = Replay(scenario(Segment(records=100)), Memory()).segments()
    segment.run(clock=clock, wait=clock.wait)
    assert clock.waits == []


def ready_images(mark, count=30):
    images = np.full((2, count, 28, 28), mark, np.uint8)
    images[0, :, 0, 0], images[1, :, 0, 0] = 1, 2
    return images[0], np.full(count, 3), images[1], np.full(count, 4)


def test_ready_images_take_the_place_of_made_ones():
    client = Memory()
    pool = {"fog": ready_images(77), "none": ready_images(55)}
    replay = Replay(scenario(Segment(records=20), Segment(records=20, corruption="fog")), client, pool=pool)
    run_all(replay)
    assert (client.images[:20, 1:, 1:] == 55).all() and (client.images[20:, 1:, 1:] == 77).all()
    assert (client.images[:, 0, 0] == 1).all() and replay.true_label(1) == 3
    replay.score_fresh("fog", n=20)
    assert (client.images[40:, 0, 0] == 2).all() and replay.true_label(41) == 4


def test_a_data_set_in_place_of_the_scenarios_own(data_folder):
    client = Memory()
    replay = Replay(scenario(Segment(records=20)), client, "mnist", data_folder)
    run_all(replay)
    mnist = {image.tobytes() for image in load("mnist", "test", data_folder).images}
    assert {image.tobytes() for image in client.images} <= mnist


def test_the_stream_and_the_fresh_half_of_a_test_split_share_no_image(data_folder):
    source = Source("mnist", data_folder)
    assert len(source.stream[0]) == len(source.fresh[0]) == 5000
    assert not {image.tobytes() for image in source.stream[0]} & {image.tobytes() for image in source.fresh[0]}


def test_another_data_set_can_be_the_unknown_class_if_its_images_have_the_same_size(data_folder):
    foreign = scenario(Segment(records=20, unknown_class="fashion-mnist"))
    client = Memory()
    [score] = run_all(Replay(foreign, client, root=data_folder))
    assert score.foreign == 20
    fashion = {image.tobytes() for image in load("fashion-mnist", "test", data_folder).images}
    assert {image.tobytes() for image in client.images} <= fashion
    with pytest.raises(ScenarioError, match="cannot be the unknown class of fashion-mnist"):
        run_all(Replay(foreign, client, "fashion-mnist", data_folder))


def test_letters_are_drawn_to_any_size_and_differ_from_each_other():
    drawn = letters(50, 32, 40, seed=1)
    assert drawn.shape == (50, 32, 40) and drawn.dtype == np.uint8
    assert len({image.tobytes() for image in drawn}) == 50
    assert (drawn.max(axis=(1, 2)) == 255).all() and (drawn.mean(axis=(1, 2)) < 100).all()
    assert np.array_equal(drawn, letters(50, 32, 40, seed=1))


def test_a_scenario_is_data_and_survives_being_written_and_read():
    written = msgspec.to_builtins(scenario(Segment(records=5, corruption="fog", share=(0.0, 1.0))))
    assert msgspec.convert(written, Scenario).segment[0].share == (0.0, 1.0)


def test_a_corruption_that_is_not_for_the_data_set_is_refused_before_the_first_image():
    client = Memory()
    told = r"digits cannot have the corruption of this scenario: cifar10_c/saturate is defined for colour images .* got grey images \[1, 28, 28\]"
    with pytest.raises(ScenarioError, match=told):
        Replay(scenario(Segment(records=20), Segment(records=20, corruption="cifar10_c/saturate")), client)
    assert not client.sent


def test_ready_images_of_a_corruption_need_not_be_makeable():
    ready = DIGITS.images[:4], DIGITS.labels[:4], DIGITS.images[:4], DIGITS.labels[:4]
    client = Memory()
    run_all(Replay(scenario(Segment(records=20, corruption="cifar10_c/saturate")), client, pool={"cifar10_c/saturate": ready}))
    assert len(client.images) == 20

"""The comparison libraries' batch tests, on latents from a file. Runs in the environment of this folder; `python -m benchmarks.peers` starts it.

    uv run --project benchmarks/peers python benchmarks/peers/theirs.py judge WORK.npz ANSWER.npz
    uv run --project benchmarks/peers python benchmarks/peers/theirs.py time WORK.npz

WORK holds `reference` float32 [groups, m, d] and for each batch size n `batch_n` float32 [cells, draws, n, d]; draw i is compared with
reference i mod groups. ANSWER holds for each test and n whether it rejected, bool [cells, draws]. `time` makes one check for each line on
its standard input, of batch_n's first draw, and answers with the processor seconds that it took.

Each test is used as its library's guide has it: default settings, 100 permutations. frouros leaves the width of its kernel to the user, and its
default of 1 sees nothing in 64 dimensions, so it gets the median heuristic that alibi-detect has built in. frouros' KS is for one feature; it
gets the Bonferroni correction that alibi-detect has built in.
"""

import logging
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch  # noqa: E402
from alibi_detect.cd import KSDrift, MMDDrift  # noqa: E402
from frouros.callbacks import PermutationTestDistanceBased  # noqa: E402
from frouros.detectors.data_drift import MMD, KSTest  # noqa: E402
from frouros.utils.kernels import rbf_kernel  # noqa: E402
from scipy.spatial.distance import pdist  # noqa: E402

LEVEL, PERMUTATIONS = 0.05, 100
torch.set_num_threads(1)


def alibi_mmd(reference):
    detector = MMDDrift(reference, backend="pytorch", p_val=LEVEL, n_permutations=PERMUTATIONS, device="cpu")
    return lambda batch: bool(detector.predict(batch)["data"]["is_drift"])


def alibi_ks(reference):
    detector = KSDrift(reference, p_val=LEVEL)
    return lambda batch: bool(detector.predict(batch)["data"]["is_drift"])


def frouros_mmd(reference):
    sigma = float(np.sqrt(np.median(pdist(reference, "sqeuclidean")) / 2))
    test = PermutationTestDistanceBased(num_permutations=PERMUTATIONS, num_jobs=1, random_state=0, name="permutation")
    detector = MMD(kernel=partial(rbf_kernel, sigma=sigma), callbacks=[test])
    detector.fit(X=reference)
    return lambda batch: bool(detector.compare(X=batch)[1]["permutation"]["p_value"] <= LEVEL)


def frouros_ks(reference):
    detectors = [KSTest() for _ in range(reference.shape[1])]
    for detector, column in zip(detectors, reference.T, strict=True):
        detector.fit(X=column)

    def rejects(batch):
        pairs = zip(detectors, batch.T, strict=True)
        return bool(min(detector.compare(X=column)[0].p_value for detector, column in pairs) <= LEVEL / batch.shape[1])

    return rejects


TESTS = {"alibi-detect MMD": alibi_mmd, "alibi-detect KS": alibi_ks, "frouros MMD": frouros_mmd, "frouros KS": frouros_ks}


def judge(work, answer):
    references = work["reference"]
    verdicts = {}
    for name, make in TESTS.items():
        tests = [make(reference) for reference in references]
        for key in (key for key in work.files if key.startswith("batch_")):
            batches = work[key]
            rejected = [[tests[i % len(tests)](batch) for i, batch in enumerate(cell)] for cell in batches]
            verdicts[f"{name}/{batches.shape[2]}"] = np.array(rejected)
        print(f"{name} is through", flush=True)
    np.savez(answer, **verdicts)


def clock(work):
    key = next(key for key in work.files if key.startswith("batch_"))
    rejects, batch = alibi_mmd(work["reference"][0]), work[key][0, 0]
    rejects(batch)
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.process_time()
        rejects(batch)
        print(time.process_time() - begun, flush=True)


if __name__ == "__main__":
    with np.load(sys.argv[2], allow_pickle=False) as file:
        if sys.argv[1] == "judge":
            judge(file, Path(sys.argv[3]))
        else:
            clock(file)

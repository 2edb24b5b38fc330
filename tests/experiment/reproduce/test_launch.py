"""Seeds as jobs: one after the other here, and by submitit's own local executor."""

from dataclasses import replace

import pytest

from qdescent._checks import ArgumentError
from qdescent.experiment.reproduce.launch import run_seeds
from qdescent.experiment.reproduce.settings import ReproduceSettings

TINY = ReproduceSettings(
    widths="2,4,4", images=64, tested=32, epochs=0, tune_steps=0, tune_batch=16, batch=16,
    pivots="0", spectra=1, probes=2, lanczos_steps=4, horizon=5, measure="spectra", seeds=2,
)  # fmt: skip


def test_seeds_are_jobs_that_are_kept(tmp_path):
    first = run_seeds(replace(TINY, seeds=1), tmp_path)
    both = run_seeds(TINY, tmp_path)
    assert [record.seed for record in both] == [0, 1]
    assert both[0].rows == first[0].rows
    assert both[0].rows["spectrum/step-0/trace"] != both[1].rows["spectrum/step-0/trace"]
    assert {path.name for path in tmp_path.iterdir()} == {"seed-0", "seed-1"}


def test_other_settings_do_not_go_on_with_a_begun_seed(tmp_path, monkeypatch):
    from qdescent.experiment.reproduce import pipeline

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "fine_tune", killed)
        with pytest.raises(KeyboardInterrupt):
            run_seeds(replace(TINY, seeds=1), tmp_path)
    with pytest.raises(ArgumentError, match="`density` must be 0.1, as in the run"):
        run_seeds(replace(TINY, seeds=1, density=0.5), tmp_path)
    assert len(run_seeds(replace(TINY, seeds=1), tmp_path)) == 1


@pytest.mark.slow
def test_submitit_runs_the_same_jobs_beside_each_other(tmp_path):
    pytest.importorskip("submitit")
    here = run_seeds(TINY, tmp_path / "here")
    there = run_seeds(replace(TINY, launcher="local"), tmp_path / "there")
    assert [record.rows for record in there] == [record.rows for record in here]

"""Pages of text, and the keys of the same."""

from pathlib import Path

from msgspec.structs import replace

from cockpit import pages
from cockpit.output import budget_keys, run_keys
from cockpit.summary import WHY
from store.records import Ended, Experiment, Limit, Outcome, Run, Stage, State

STUDY = Path("/there/.git/cockpit/tried")
TRAINED = Stage("train", Outcome.OK, 0, 9.0, 6.0, 6.0, 2_000_000, "train.log")
RUN = Run(1, 0, "r", "t", "b", 0, "screen", "full", 1, "slot0", "none", "pss", "plain", 0.0, stages=(TRAINED,))
BASELINE = Experiment(0, "baseline", State.MEASURED, "t", "c", "b", 1.0)


def page(stage: Stage) -> str:
    return pages.experiment_page(BASELINE, [replace(RUN, stages=(stage,))], [], STUDY)


def test_what_gpus_have_used_is_shown_where_it_was_measured_and_is_no_zero_where_not() -> None:
    assert "memory 2 MB\n" in page(TRAINED) + "\n"
    told = replace(TRAINED, energy_joules=1234.5, peak_device_bytes=3_000_000_000)
    assert "memory 2 MB   of GPUs 3000 MB   1,234 J" in page(told)
    keys = [run_keys(replace(RUN, stages=(stage,)), STUDY)["stages"][0] for stage in (TRAINED, told)]
    assert [(one["energy_joules"], one["peak_device_memory_bytes"]) for one in keys] == [
        (None, None),
        (1234.5, 3_000_000_000),
    ]


def test_where_the_files_of_a_run_lie_is_said() -> None:
    assert page(TRAINED).splitlines()[-1] == "  files    /there/.git/cockpit/tried/runs/000001: output/, train.log"
    keys = run_keys(replace(RUN, stages=(replace(TRAINED, log="runs/000001/train.log"),)), STUDY)
    assert keys["output"] == "/there/.git/cockpit/tried/runs/000001/output"
    assert keys["stages"][0]["log"] == "/there/.git/cockpit/tried/runs/000001/train.log"


def test_a_budget_of_joules_is_shown_as_any_other_and_says_what_to_do_when_it_is_used_up() -> None:
    limit = Limit("joules", 500_000, 9.0, 1234.5, 100.0, 60.0, None)
    assert pages.budget_columns([limit]) == [
        ["", "joules"], ["spent", "1,234"], ["reserved", "100"], ["limit", "500,000"],
    ]  # fmt: skip
    (keys,) = budget_keys([limit])
    assert (keys["budget"], keys["unit"], keys["limit"], keys["spent"]) == ("joules", "joules", 500_000, 1234.5)
    assert "more of `[budget] joules`, and the same command goes on" in WHY[Ended.JOULES]

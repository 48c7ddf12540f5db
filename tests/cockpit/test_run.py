"""The run panel: what a log says becomes curves, a folder becomes what is seen, and a view becomes lines."""

import json
import os
import threading
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from cockpit import watch
from cockpit.curves import chart
from cockpit.feed import Snapshot
from cockpit.line import Line
from cockpit.panels.run import Run, Shown, metric, which
from cockpit.series import BLOCK, MORE_LINES, MOST_LINES, MOST_POINTS, PAIRS, Curve, Point, Series
from cockpit.usual import Usual
from cockpit.view import Arrangement, Choices, View, Want
from cockpit.watch import History, Log, Runs, Seen, Use, Watched, Watching, look, read_log, taken
from store import records
from store.records import Outcome, Stage
from tests.cockpit.studies import NOW, every_kind, measured

EPOCHS = [f"epoch {number}/60  loss {2 / number:.4f}  val_nll {1 / number:.4f}" for number in range(1, 38)]
USING = Use(412e6, 430e6, 7.8, 8.0, None, None)
WALL = "1 min 34 s"


# --- series ----------------------------------------------------------------------------------------------------------


def series(lines: Iterable[str]) -> dict[str, list[Point]]:
    """Each metric that lines print, as it is drawn, where all of them are looked at at once."""
    return {name: curve.drawn for name, curve in Series().after(lines).curves.items()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("epoch 36/60  loss 0.0688  val_accuracy 0.9741", {"loss": (36, 0.0688), "val_accuracy": (36, 0.9741)}),
        ("epoch: 3  train_loss: 0.0119", {"train_loss": (3, 0.0119)}),
        ("step=120 loss=1.5e-3, lr=1e-05", {"loss": (120, 1.5e-3), "lr": (120, 1e-05)}),
        ("iter 100: loss 3.2185, time 12ms", {"loss": (100, 3.2185)}),
        ('{"step": 12, "loss": 0.25, "note": "x"}', {"loss": (12, 0.25)}),
        ("{'loss': -0.5, 'epoch': 0.5}", {"loss": (0.5, -0.5)}),
        ("Train Epoch: 1 [300/600 (50%)]\tLoss: 2.2", {"Loss": (1.5, 2.2)}),
        ("Epoch 2:  25%|██▌  | 25/100 [00:01<00:03, 25.0it/s, loss=0.3]", {"loss": (2.25, 0.3)}),
        ("epoch 3 step 700 loss 0.5", {"loss": (700, 0.5)}),
        ("loss 0.5", {"loss": (1, 0.5)}),
        ("\x1b[32mloss\x1b[0m: \x1b[1m0.5\x1b[0m", {"loss": (1, 0.5)}),
        ("loss nan  other 1", {"other": (1, 1.0)}),
        ("loss: inf", {}),
        ("at 12:30:44 of 2026-01-02", {}),
        ("loss 1,5", {}),
        ("loss 1e999", {}),
        ("", {}),
    ],
)
def test_what_a_line_says_of_metrics_is_found(text: str, found: dict[str, tuple[float, float]]) -> None:
    assert {name: points[0] for name, points in series([text]).items()} == found


@given(st.lists(st.text(st.sampled_from("loss epoch:=/0123456789.e-+\t{}\"'nan\x1b[m"), max_size=60), max_size=60))
def test_whatever_a_log_holds_steps_never_go_back_and_values_are_numbers(lines: list[str]) -> None:
    for points in series(lines).values():
        assert points == sorted(points, key=lambda point: point[0])
        assert all(abs(y) <= 1e150 and abs(x) < 1e16 for x, y in points)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_a_metric_of_each_line_is_read_as_it_was_printed(values: list[float]) -> None:
    lines = [f"step {step} loss {value!r}" for step, value in enumerate(values)]
    assert series(lines)["loss"] == list(enumerate(values))
    assert Series().after(lines[:7]).after(lines[7:]) == Series().after(lines)


def test_a_series_of_any_length_is_a_sample_with_its_newest_point() -> None:
    found = Series()
    for start in range(0, 30_001, 500):
        found = found.after(f"step {step} loss {step}" for step in range(start, min(start + 500, 30_001)))
    points = found.curves["loss"].drawn
    assert MOST_POINTS / 2 <= len(points) <= MOST_POINTS + 1
    assert [points[0], points[-1]] == [(0.0, 0.0), (30_000.0, 30_000.0)]
    assert len({after[0] - before[0] for before, after in pairwise(points[:-1])}) == 1


def test_of_very_many_lines_at_once_a_part_is_looked_at_from_the_first_to_the_last() -> None:
    lines = [f"loss {number}" if number % 2 else f"val_loss {number}" for number in range(100_000)]
    for before, most in ((Series(), MOST_LINES), (Series(lines=1), MORE_LINES)):
        found = before.after(lines)
        assert sum(curve.count for curve in found.curves.values()) <= most + 2 * BLOCK
        for name in ("loss", "val_loss"):
            points = found.curves[name].drawn
            assert points[0][0] < 100 and points[-1][0] > 99_998
            assert all(x == y + 1 + before.lines for x, y in points), "the number of the line is its own"


def test_of_a_line_of_very_many_metrics_the_first_are_taken() -> None:
    (curve,) = Series().after(["a=1 " * 200]).curves.values()
    assert curve.count == PAIRS
    names = [f"m{number}" for number in range(PAIRS + 9)]
    assert list(series([" ".join(f"{name}=1" for name in names)])) == names[:PAIRS]


def test_steps_that_begin_anew_in_each_epoch_go_on() -> None:
    lines = [f"step {step} loss 1" for _ in range(3) for step in range(4)]
    steps = [x for x, _ in series(lines)["loss"]]
    assert steps == sorted(steps) and len(set(steps)) > 5


# --- the folder ------------------------------------------------------------------------------------------------------


def test_a_log_is_read_on_and_a_progress_bar_is_its_last_state(tmp_path: Path) -> None:
    path, log = tmp_path / "train.log", Log("train")
    written = [
        b"one\r\n", b" 1%|   | loss=3\r", b" 50%|# | loss=2\r 99%|", b"## | loss=1\r", b"100%|##| loss=0\n",
        b"tw", b"o\n",
    ]  # fmt: skip
    with path.open("wb") as file:
        for part in written:
            file.write(part)
            file.flush()
            log = read_log(path, log) or log
    assert list(log.lines) == ["one", "100%|##| loss=0", "two"] and not log.open
    assert log.offset == path.stat().st_size
    assert [value for _, value in log.series.curves["loss"].drawn] == [3, 2, 1, 0]
    path.write_text("anew\n")
    again = read_log(path, log)
    assert again is not None and list(again.lines) == ["anew"]


@given(st.text(st.sampled_from("ab1 \r\n"), max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_it_does_not_matter_in_which_parts_a_log_is_read(text: str, cuts: list[int]) -> None:
    log = Log("train")
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    ends = [max(text.rfind("\n", 0, edge), text.rfind("\r", 0, edge)) + 1 for edge in edges]
    for start, end in pairwise(ends):
        log = taken(log, text[start:end])
    assert log == taken(Log("train"), text[: ends[-1]])


def test_of_a_log_that_is_too_long_the_end_is_read_and_what_is_missing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_BYTES", 1_000)
    monkeypatch.setattr(watch, "KEPT_LINES", 50)
    path = tmp_path / "train.log"
    path.write_text("".join(f"line {number}\n" for number in range(1_000)))
    log = read_log(path, Log("train"))
    assert log is not None and log.unread == path.stat().st_size - 1_000
    assert len(log.lines) == 50 and log.dropped > 0 and log.lines[-1] == "line 999"
    path.write_bytes(b"x" * 500_000)
    endless = read_log(path, Log("train"))
    assert endless is not None and 0 < len(endless.open) <= watch.KEPT_COLUMNS


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.log")
    (tmp_path / "score.log").symlink_to("/etc/passwd")
    (tmp_path / "spec.json").symlink_to("/etc/passwd")
    (tmp_path / "status.json").write_text('{"stages": [[1], {"name": 3}, {"name": "../x"}], "ended": 5}')
    (tmp_path / "now.json").write_text("[" * 100_000)
    found: list[Seen] = []
    reader = threading.Thread(target=lambda: found.append(look(tmp_path, Seen(), NOW)), daemon=True)
    reader.start()
    reader.join(5)
    assert found and not found[0].logs and found[0].use is None and not found[0].lack


def test_curves_of_files_stand_before_those_of_the_log_which_has_to_have_steps_too(tmp_path: Path) -> None:
    (tmp_path / "curves.json").write_text('{"val": [[0, 3], [10, 2.5]], "torn": [[1]], "far": [[1, 1e200]], "no": 7}')
    for log, beside in (("step 3 loss 0.5\n", ["loss"]), ("loss 0.5\n", [])):
        (tmp_path / "train.log").write_text(log)
        seen = look(tmp_path, Seen(), NOW)
        assert (list(seen.series.curves), seen.series.word, seen.series.end) == (["val", *beside], "step", 10)
    assert seen.series.curves["val"].drawn == [(0, 3), (10, 2.5)]
    (tmp_path / "curves.json").write_text("no JSON")
    assert list(look(tmp_path, Seen(), NOW).series.curves) == ["loss"]


def test_beside_a_log_that_counts_in_epochs_stand_the_logs_of_runs_that_have_left_files_too() -> None:
    study, found = live()
    for run in past(study, 0, 1, 2, 3):
        files = {"val_nll": Curve([(0, 3.0), (900, 2.5)], (900, 2.5), count=2)}
        found[Watched(run.id, run.folder)] = replace(found[Watched(run.id, run.folder)], written=files)
    rows = text(study, found)
    assert any(row.startswith(" val_nll .0270") and row.endswith("baseline, 3 runs") for row in rows)
    assert any(row.endswith("epoch 60") for row in rows)


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    assert look(tmp_path / "000012", Seen(), NOW).lack == "its folder is gone: 000012"


@pytest.mark.parametrize(
    ("more", "held"),
    [({}, 412e6), ({"at": NOW - 60}, None), ({"stage": "score"}, None), ({"bytes": "many"}, "nothing of it")],
)
def test_what_a_stage_uses_holds_while_it_is_fresh_and_of_that_stage(tmp_path: Path, more: Any, held: Any) -> None:
    stages = [{"name": "train", "timeout_seconds": 1200.0}, {"name": "score", "timeout_seconds": 1200.0}]
    (tmp_path / "spec.json").write_text(json.dumps({"stages": stages}))
    going = {"stages": [{"name": "train", "started_at": NOW - 94}], "ended": False}
    (tmp_path / "status.json").write_text(json.dumps(going))
    (tmp_path / "now.json").write_text(json.dumps({"stage": "train", "at": NOW - 1, "bytes": 412e6, **more}))
    found = look(tmp_path, Seen(), NOW)
    assert (found.stage, found.since, found.limit_seconds["train"]) == ("train", NOW - 94, 1200.0)
    if held == "nothing of it":
        assert found.use is not None and found.use.held_bytes is None
    else:
        assert (found.use.held_bytes if found.use else None) == held


# --- the panel -------------------------------------------------------------------------------------------------------


def stage(name: str, seconds: float, outcome: Outcome = Outcome.OK, **more: Any) -> Stage:
    return Stage(name, outcome, 0, NOW - 100, seconds, seconds * 0.9, 412_000_000, f"runs/000012/{name}.log", **more)


def past(study: Snapshot, number: int, *seeds: int, **more: Any) -> list[records.Run]:
    """Good runs of an experiment."""
    run = study.running[0]
    stages = (stage("train", 94.0), stage("predict", 4.0), stage("score", 1.0))
    return [
        replace(
            run, id=20 * number + seed, experiment=number, seed=seed, outcome=Outcome.OK, ended_at=NOW - 50,
            stages=stages, measurements=measured(0.13, 2.54, 9_870), **more,
        )
        for seed in seeds
    ]  # fmt: skip


def known(
    study: Snapshot, runs: Sequence[records.Run], logs: Sequence[str], *, number: int, others: Sequence[str] = EPOCHS
) -> dict[Want[Any], Any]:
    """What was read of an experiment's runs, all with the same log, and of trunk's."""
    trunk = past(study, 0, 1, 2, 3)
    found: dict[Want[Any], Any] = {
        Runs(number, 0): History(runs, trunk),
        Usual("37242fc0", "full"): {"train": 152.0, "predict": 4.0},
    }
    names = ("train", "predict", "score")
    for run in (*trunk, *runs):
        text = "\n".join(logs if run in runs else others) + "\n"
        seen = Seen([taken(Log("train"), text)], names, dict.fromkeys(names, 1200.0))
        if run.outcome is None:
            found[Watching(run.id, run.folder)] = replace(seen, stage="train", since=NOW - 94, use=USING)
        else:
            found[Watched(run.id, run.folder)] = seen
    return found


def live(logs: Sequence[str] = EPOCHS) -> tuple[Snapshot, dict[Want[Any], Any]]:
    study = every_kind()
    run = replace(study.running[0], stages=())
    study = replace(study, running=(run,))
    return study, known(study, [*past(study, 7, 5), run], logs, number=7)


def text(
    study: Snapshot, found: dict[Want[Any], Any], width: int = 80, height: int = 19, selected: int = 7, **chosen: Any
) -> list[str]:
    view = View(study, selected, NOW, Arrangement.NARROW, found, choices=Choices(**chosen))
    drawing = Run().draw(view, width, height)
    rows = [line.text.rstrip() for line in (*drawing.head, *drawing.body)]
    head = [line.text.rstrip() for line in drawing.head]
    assert all(cell_len(row) <= width for row in head), head
    assert len(head) < height
    return rows


@pytest.mark.parametrize(("width", "height"), [(80, 19), (56, 14), (120, 30), (60, 12)])
def test_a_run_under_way_says_where_it_is_what_it_uses_and_what_it_prints(width: int, height: int) -> None:
    rows = text(*live(), width, height)
    assert rows[0].startswith(" ► e0007 gelu-activ") and "screen, seed 169504" in rows[0]
    assert ("train ███" in rows[1]) is (width > 56) and f"{WALL}, usually 2 min 32 s  limit 20 min" in rows[1]
    assert rows[2].startswith(" memory 412 MB, peak 430 MB   cpu 7.8 of 8 cores")
    assert rows[-1] == f" {EPOCHS[-1]}"
    drawn = any(0x2800 < ord(one) < 0x2900 for row in rows for one in row)
    assert drawn is (height > 12)
    if drawn:
        assert any(row.startswith(" val_nll .0270") and row.endswith("⠒⠒ baseline, 3 runs") for row in rows)
        assert any(row.endswith("epoch 60") for row in rows)


def test_without_runs_before_it_there_is_no_forecast_and_without_a_word_nothing_is_measured() -> None:
    study, found = live(["ready"])
    run = study.running[0]
    found[Runs(7, 0)] = History([run], ())
    found[Usual(run.bench, run.fidelity)] = {}
    found[Watching(12, run.folder)] = replace(found[Watching(12, run.folder)], use=None)
    rows = text(study, found)
    assert rows[1] == f" train {WALL}  limit 20 min  predict  score"
    assert rows[2] == " memory and cores: not measured yet"
    assert rows[3:] == ["", " ready"], "where there is no curve, the log has the room"


def test_what_stages_usually_take_is_asked_for_only_while_something_runs() -> None:
    study, found = live()
    usual = Usual("37242fc0", "full")
    assert usual in Run().wants(View(study, 7, NOW, Arrangement.NARROW, found))
    over = known(study, past(study, 7, 5), EPOCHS, number=7)
    assert usual not in Run().wants(View(replace(study, running=()), 7, NOW, Arrangement.NARROW, over))


def test_between_two_stages_it_is_said_what_is_next_and_nothing_before_the_folder_was_read() -> None:
    study, found = live()
    run = study.running[0]
    watching = Watching(12, run.folder)
    quiet = replace(found[watching], stage="", use=None, since=0.0)

    def said(*stages: Stage, **more: Any) -> str:
        found[watching] = replace(quiet, **more)
        now = replace(run, stages=stages, started_at=NOW - 300)
        found[Runs(7, 0)] = History([now], ())
        return text(replace(study, running=(now,)), found)[1]

    trained = replace(stage("train", 94.0), started_at=NOW - 100)
    assert said() == " starting  5 min 0 s"
    assert said(ended=["train"]) == " predict is next"
    assert said(trained) == " train ✓ 1 min 34 s  predict is next  6 s"
    others = (stage("predict", 4.0), stage("score", 1.0))
    assert said(trained, *others).endswith("score ✓ 1.0 s  its results are read  6 s")
    assert said(replace(trained, outcome=Outcome.TIMEOUT)).endswith("its results are read  6 s")
    del found[watching]
    rows = text(study, found)
    assert rows[1:] == ["", " reading its log…"]


def test_measurements_that_have_no_room_are_counted() -> None:
    study = every_kind()
    (run,) = past(study, 1, 1)
    many = tuple(replace(run.measurements[0], objective=f"loss_{number}") for number in range(30))
    few, whole = replace(run, measurements=many[:2]), replace(run, measurements=many)
    for height in (14, 24):
        rows = text(study, known(study, [whole], EPOCHS, number=1), 80, height, selected=1)
        (last,) = [row for row in rows if row.endswith(" more")]
        shown = sum(row.count("   loss ") for row in rows)
        assert last.endswith(f"   and {30 - shown} more") and cell_len(last) <= 80
        assert not any(" more" in row for row in text(study, known(study, [few], [], number=1), 80, height, selected=1))


def test_what_is_not_measured_is_said_not_to_be() -> None:
    study, found = live()
    run = replace(study.running[0], devices=1)
    study = replace(study, running=(run,))
    watching = Watching(12, run.folder)
    found[watching] = replace(found[watching], use=Use(None, None, None, 8.0, 2.1e9, None))
    assert text(study, found, 120)[2] == (
        " memory not measured   cpu not measured   GPU memory 2.1 GB   energy not measured"
    )


@pytest.mark.parametrize("width", [80, 56, 120])
def test_a_finished_run_opens_the_same_way_with_its_stages_and_what_it_has_come_to(width: int) -> None:
    study = every_kind()
    runs = past(study, 1, 1, 2)
    rows = text(study, known(study, runs, EPOCHS, number=1), width, 24, selected=1)
    assert rows[0].startswith(" ✓ e0001 drop-second") and "screen, seed 2" in rows[0]
    assert rows[0].endswith("run 2 of 2")
    assert rows[1].split() == ["train", "✓", "1", "min", "34", "s", "cpu", "1", "min", "24", "s", "memory", "412", "MB"]
    assert any("nll .1300" in row for row in rows) and any("predict 2.54 us" in row for row in rows)
    assert any("val_nll" in row for row in rows) and rows[-1] == f" {EPOCHS[-1]}"
    assert "seed 1" in text(study, known(study, runs, EPOCHS, number=1), width, 24, selected=1, run=runs[0].id)[0]


@pytest.mark.parametrize("width", [80, 56, 120])
def test_where_there_is_little_room_a_finished_run_is_said_in_two_lines(width: int) -> None:
    study = every_kind()
    rows = text(study, known(study, past(study, 1, 1), EPOCHS, number=1), width, 14, selected=1)
    assert rows[1].startswith(" train ✓ 1 min 34 s  predict ✓ 4.0 s  score ✓ 1.0 s")
    assert rows[2].startswith(" ok after") and "nll .1300" in rows[2]
    assert any("epoch 60" in row for row in rows)


def test_a_run_that_failed_says_how() -> None:
    study = every_kind()
    failed = stage("train", 9.0, Outcome.OUT_OF_MEMORY, detail="killed")
    (run,) = past(study, 3, 1)
    run = replace(run, outcome=Outcome.OUT_OF_MEMORY, detail="train: 9.1 of 8 GB", stages=(failed,), measurements=())
    rows = text(study, known(study, [run], ["Killed"], number=3), selected=3)
    assert rows[0].startswith(" ! e0003 depth-9") and "out of memory" in rows[1]
    assert "out of memory: train: 9.1 of 8 GB, after" in rows[2] and rows[-1] == " Killed"


def test_a_run_whose_engine_is_gone_does_not_go_on() -> None:
    study, found = live()
    rows = text(replace(study, pid=None), found)
    assert rows[0].startswith(" ! e0007") and any("broken off: its engine is gone" in row for row in rows)
    assert not any("usually" in row for row in rows)


def test_for_what_has_not_run_there_is_what_runs_now() -> None:
    study, found = live()
    found[Runs(8, 0)] = History([], [])
    rows = text(study, found, selected=8)
    assert rows[0] == " e0008 has not run yet; what runs now:" and rows[1].startswith(" ► e0007 gelu-activation")
    assert text(replace(study, running=()), found, selected=8)[1] == "  e0008 has not run yet."
    view = View(study, 8, NOW, Arrangement.NARROW, found)
    assert Runs(7, 0) in Run().wants(view) and Watching(12, "runs/000012") in Run().wants(view)


def test_of_several_slots_each_has_a_line() -> None:
    study, found = live()
    other = replace(study.running[0], id=13, experiment=8, slot="slot1", started_at=NOW - 5)
    rows = text(replace(study, running=(study.running[0], other)), found, height=24)
    assert rows[0].startswith(" slot0   e0007 gelu-activation   screen   9 s")
    assert rows[1].startswith(" slot1   e0008 batch-64   screen   5 s")
    assert rows[2].startswith(" ► e0007")


def test_w_goes_to_what_runs_on_each_slot_also_where_two_are_of_one_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    study, found = live()
    first = study.running[0]
    second, third = replace(first, id=13, slot="slot1", seed=8), replace(first, id=14, experiment=8, slot="slot2")
    study = replace(study, running=(first, second, third))
    found |= {Runs(1, 0): History(past(study, 1, 1), ()), Runs(8, 0): History([], ())}
    view = View(study, 1, NOW, Arrangement.NARROW, found)
    panel, shown = Run(lambda choices: changed(choices=choices)), list[int]()
    panel.view = view

    def changed(**changes: Any) -> None:
        panel.view = replace(panel.view or view, **changes)

    monkeypatch.setattr(panel, "post_message", lambda to: changed(selected=to.number))
    for _ in range(4):
        panel.action_now()
        now = which(panel.view)
        assert isinstance(now, Shown)
        shown.append(now.run.id)
    assert shown == [12, 13, 14, 12]
    panel.view = replace(view, study=replace(study, running=(first, third)))
    panel.action_now()
    assert panel.view.choices.run is None, "what it runs after this one is shown too"


def test_a_run_that_has_just_ended_is_shown_as_it_was_seen_until_it_is_read_once_more() -> None:
    study, found = live()
    ended = replace(study.running[0], outcome=Outcome.OK, ended_at=NOW)
    found[Runs(7, 0)] = History([ended], ())
    assert text(replace(study, running=()), found)[-1] == f" {EPOCHS[-1]}"


def test_the_curve_is_first_of_what_the_study_is_about() -> None:
    study, lines = every_kind(), EPOCHS
    assert metric(study, Series().after(lines), "") == "val_nll"
    assert metric(study, Series().after(lines), "loss") == "loss"
    assert metric(study, Series().after(f"loss {n} test_nll {n} val_nll {n}" for n in range(3)), "") == "val_nll"
    assert metric(study, Series().after(f"loss {n} lr {n}" for n in range(3)), "") == "loss"
    assert metric(study, Series().after(lines[:2]), "") is None
    assert any(row.startswith(" loss .0541") for row in text(*live(), metric="loss"))


def test_the_stages_stand_under_one_another_and_what_is_not_shown_is_said() -> None:
    study, found = live()
    watching = Watching(12, study.running[0].folder)
    logs = [replace(taken(Log("train"), "one\n"), unread=4_000_000, dropped=12), taken(Log("predict"), "two\n")]
    found[watching] = replace(found[watching], logs=logs)
    assert text(study, found)[-5:] == [
        " train",
        " … 4.0 MB before this are not read and 12 lines before this are not kept; the file has them all",
        " one",
        " predict",
        " two",
    ]


def test_a_curve_is_drawn_anew_where_it_is_another_one_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()

    def counted(*given: Any) -> list[Line]:
        made.append(1)
        return chart(*given)

    monkeypatch.setattr("cockpit.panels.run.chart", counted)
    study, found = live()
    panel, view = Run(), View(study, 7, NOW, Arrangement.NARROW, found)
    for now in (NOW, NOW + 1, NOW + 2):
        panel.draw(replace(view, now=now), 80, 24)
    assert len(made) == 1
    panel.draw(view, 90, 24)
    panel.draw(replace(view, choices=Choices(metric="loss")), 90, 24)
    watching = Watching(12, study.running[0].folder)
    log = taken(found[watching].logs[0], "epoch 38/60  loss 0.1  val_nll 0.02\n")
    more = {**found, watching: replace(found[watching], logs=[log])}
    rows = [line.text for line in panel.draw(replace(view, found=more), 90, 24).head]
    assert len(made) == 4 and any(row.startswith(" val_nll .0200") for row in rows)


def test_a_folder_that_is_gone_says_so_beside_what_the_record_holds() -> None:
    study = every_kind()
    runs = past(study, 1, 1)
    found = known(study, runs, [], number=1)
    found[Watched(runs[0].id, runs[0].folder)] = Seen(lack="its folder is gone: 000021")
    rows = text(study, found, selected=1)
    assert rows[-1] == " its folder is gone: 000021" and any("nll .1300" in row for row in rows)


def test_a_log_cannot_reach_the_terminal() -> None:
    poison = "\x1b]52;c;cGF5\x07\x1b[2J\u202e loss\x1b[31m: 0.5 [/usr/bin] \x9b2J"
    study, found = live([poison] * 5)
    view = View(study, 7, NOW, Arrangement.NARROW, found)
    drawing = Run().draw(view, 80, 24)
    lines = [*drawing.head, *drawing.body]
    assert all(line.text.isprintable() for line in lines)
    assert any("[/usr/bin]" in line.text for line in lines)

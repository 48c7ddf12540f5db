"""`probe`, `plan` and `check` as a user types them."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from cockpit import plans, probed
from cockpit.line import Line
from store.planned import Foreseen, Plan
from store.probed import Noise
from tests.cockpit.studies import every_kind
from tests.conftest import Write, cockpit, git
from tests.loop.survey.test_probe import SEEDED
from tests.loop.test_plan import PROBED

FORESEEN = tuple(Foreseen(name, "full", 70, 2.3, 13, 2.2, {"loss": 0.021}) for name in ("fast", "balanced", "strict"))
PLAN = Plan("balanced", 8.0, "3 runs of the baseline", 120.0, 10**9, None, 240, "8 h", FORESEEN, ("shorter runs",), "")


def test_a_script_that_knows_nothing_of_cockpit_is_probed_and_then_planned(tmp_path: Path, bare_python: Path) -> None:
    (tmp_path / "train.py").write_text(SEEDED)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    done = cockpit("probe", str(tmp_path), "--", str(bare_python), "train.py")
    assert done.returncode == 0, done.stderr
    for part in (
        "val_loss",
        "less is better",
        "--seed {seed} (train.py:3)",
        "are noise here",
        "tonight",
        "cockpit init",
    ):
        assert part in done.stdout
    assert git(tmp_path, "status", "--porcelain") == "", "nothing is written into the user's tree"
    (tmp_path / "cockpit.toml").write_text(
        f'[run]\ntrain = "python train.py"\npython = "{bare_python}"\nseed = "--seed {{seed}}"\n'
        '[space]\nedit = ["train.py"]\n'
        "[objectives]\nval_loss = { direction = \"minimize\", from = { pattern = 'val loss ([0-9.]+)' } }\n"
        '[model]\nname = "none"\n'
    )
    done = cockpit("plan", str(tmp_path))
    assert done.returncode == 0 and "from a probe of 5 runs" in done.stdout and "balanced*" in done.stdout
    said = json.loads(cockpit("plan", "--json", "--hours", "1", str(tmp_path)).stdout)
    assert (said["hours"], said["foreseen"][1]["preset"]) == (1.0, "balanced")
    done = cockpit("check", str(tmp_path))
    assert done.returncode == 0 and "nothing is missing: a start would run this" in done.stdout, (
        done.stdout + done.stderr
    )


def test_what_the_commands_cannot_do_is_said_with_an_exit_status(tmp_path: Path, write: Write) -> None:
    git(tmp_path, "init", "-q")
    for words, status, says in (
        (("probe", str(tmp_path)), 2, "after `--`"),
        (("probe", "train.py"), 2, "after `--`"),
        (("probe", str(tmp_path), "--", "python", "train.py"), 1, "no commit yet"),
        (("plan", str(tmp_path)), 1, "no cockpit.toml"),
        (("check", str(tmp_path)), 1, "no cockpit.toml"),
    ):
        done = cockpit(*words)
        assert (done.returncode, says in done.stderr) == (status, True), done.stderr
    place = write(train="raise SystemExit('no idea')\n")
    done = cockpit("probe", "--json", str(place.root))
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert done.returncode == 3 and "no idea" in said["failure"] and said["runs"][0]["outcome"] == "crash"
    done = cockpit("plan", str(place.root))
    assert done.returncode == 0 and "makes it known" in done.stdout
    place.config.write_text(place.config.read_text().replace('edit = ["train.py"]', 'edit = ["other.py"]'))
    done = cockpit("check", str(place.root))
    assert done.returncode == 1 and "1 error: nothing would run" in done.stdout
    assert json.loads(cockpit("check", "--json", str(place.root)).stdout)["errors"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "loss: the same code on another seed differs by 1 %"),
        ({"noise": {"loss": replace(PROBED.noise["loss"], sd=0.0)}}, "agree on loss to within rounding"),
        ({"metrics": ()}, "A line `name: value` at its end is enough"),
        ({"time_budget": True}, "as if it had a time budget"),
        ({"seed": replace(PROBED.seed, takes_effect=False)}, "it takes no effect"),
        ({"seed": replace(PROBED.seed, how=None, hard_coded="a.py:3")}, "set to a number at a.py:3"),
        ({"lent": ("data/",)}, "lent, for it is not committed: data/"),
    ],
)
def test_what_a_probe_has_learned_fits_a_screen(changed: dict[str, object], says: str) -> None:
    lines = probed.page(replace(PROBED, **changed), "cockpit init").split("\n")
    assert says in " ".join(" ".join(lines).split())
    assert len(lines) <= 22 and max(map(len, lines)) <= 80


def test_how_a_noise_is_worked_out_is_said() -> None:
    first, second = probed.sentences("loss", Noise(2.0, 0.02, 3, 0.01, 0.0057, 0.037, 0.033, "repetition"))
    assert first.startswith("loss: the same code run again differs by 1 % (standard deviation of 4 runs; ")
    assert first.endswith("95 % interval 0.57 % to 3.7 %).")
    assert second.endswith("3.3 % are noise here: 1 % x sqrt 2 x the t of P = .95 at 3 degrees of freedom.")


def test_a_plan_says_each_preset_and_its_card_is_as_wide_as_the_screen() -> None:
    page = plans.page(PLAN, "")
    assert "2.1 %" in page and "240 runs in 8 h" in page and "for more  shorter runs" in page
    lines = plans.card(replace(PLAN, warning="no winner can be confirmed"), 66)
    assert all(isinstance(one, Line) for one in lines) and len(lines) <= 14
    foreseen = tuple(replace(one, gains={"predict_us_per_item": 0.05}) for one in PLAN.foreseen)
    said = "\n".join(one.text for one in plans.card(replace(PLAN, foreseen=foreseen), 80, every_kind()))
    assert "predict" in said and "predict_us_per_item" not in said, "the screen has its label"
    unknown = replace(PLAN, known_from="", runs=None, foreseen=())
    assert "nothing is known yet" in plans.page(unknown, "`cockpit probe` makes it known")

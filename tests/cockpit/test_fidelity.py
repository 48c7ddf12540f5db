"""Of two fidelities each value says its own, and how far they agree is in sight."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from cockpit import card, figures, output, pages
from cockpit.feed import Snapshot
from cockpit.panels import PANELS
from cockpit.panels.frontier import interval
from cockpit.view import Arrangement, View
from store.records import FULL, QUICK, Agreement, Experiment
from tests.cockpit.studies import NOW, every_kind

GOOD, POOR = Agreement("nll", 5, 0.8), Agreement("nll", 5, -0.2)


def of_two(*agreement: Agreement) -> Snapshot:
    """A study whose values are of quick runs, and half of them in full; e0001's verdict rests on those."""
    study = every_kind()
    assert study.engine is not None
    engine = replace(study.engine, facts={**study.engine.facts, "fidelity": {"quick": {"max_steps": 5}, "full": {}}})

    def both(one: Experiment) -> Experiment:
        said = one.verdict
        if said is not None:
            rows = {name: {**own, "fidelity": FULL, "n": 4} for name, own in said.figures.items()}
            said = replace(said, figures=rows, runs=7)
        quick = tuple(replace(m, fidelity=QUICK) for m in one.measurements)
        full = tuple(replace(m, value=m.value / 2, n=4) for m in one.measurements)
        return replace(one, measurements=quick, full=full, verdict=said)

    rows = tuple(both(one) if one.number < 2 else one for one in study.experiments)
    return replace(study, engine=engine, experiments=rows, agreement=agreement)


def test_a_card_is_of_the_fidelity_on_which_its_verdict_rests() -> None:
    study = of_two()
    one, base = study.experiments[1], study.experiments[0]
    head, first, *_ = [line.text for line in card.card(study, one, base, 100)]
    assert head.startswith(" at full")
    values = (next(m.value for m in row.full if m.objective == "nll") for row in (base, one))
    assert " →  ".join(figures.value(value, quality=True) for value in values) in first
    plain = every_kind()
    assert " at " not in card.card(plain, plain.experiments[1], plain.experiments[0], 100)[0].text


def test_no_interval_of_full_runs_is_drawn_around_a_value_of_quick_ones() -> None:
    for study, drawn in ((every_kind(), True), (of_two(), False)):
        nll = next(one for one in study.objectives if one.name == "nll")
        confirmed = next(one for one in study.experiments if one.number == 1)
        value = next(m.value for m in confirmed.measurements if m.objective == "nll")
        assert (interval(study, confirmed, nll, value) is not None) == drawn


@pytest.mark.parametrize("width", [80, 120])
def test_panel_2_says_that_it_is_at_quick_and_how_far_that_is_to_be_trusted(width: int) -> None:
    for found, note, said in (
        ((), "at quick", ""),
        ((GOOD,), "at quick", "   quick and full agree on the order of 5 experiments (tau-b): nll .80"),
        ((POOR,), "at quick, which agrees poorly with full", "   quick and full agree poorly on the order of 5"),
    ):
        view = View(of_two(*found), 1, NOW, Arrangement.NARROW)
        drawing = PANELS[1]().draw(view, width, 30)
        assert "".join(piece if isinstance(piece, str) else piece[0] for piece in drawing.note).endswith(note)
        lines = [line.text for line in (*drawing.head, *drawing.body)]
        assert any("quick and full" in text for text in lines) == bool(said)
        assert any(text.startswith(said) for text in lines)


def test_pages_and_keys_name_both() -> None:
    study = of_two(POOR)
    page = pages.experiment_page(study.experiments[1], [], [], Path())
    assert "runs at quick" in page or "run at quick" in page
    assert "4 runs at full" in page
    keys = output.experiment_keys(study.experiments[1], 0)
    assert keys["fidelity"] == FULL
    assert {one["fidelity"] for one in keys["measurements"].values()} == {QUICK}
    assert {one["fidelity"] for one in keys["measurements_in_full"].values()} == {FULL}
    drawn = output.frontier_keys(study.frontier, list(study.reference), study.experiments)
    assert {point["fidelity"] for point in drawn["points"] if point["id"] in ("e0000", "e0001")} == {QUICK}
    status = output.status_keys("x", None, None, None, list(study.experiments), 0, None, agreement=[POOR])
    assert status["agreement"] == {"experiments": 5, "tau": {"nll": -0.2}, "poor": ["nll"]}
    said = pages.status_page({**status, "trunk": None}, None, agreement=[POOR])
    assert "nll -.20; let quick run longer, for what is better there is often not so in full" in said
    assert output.agreement_keys([]) is None


def test_of_one_fidelity_nothing_is_said() -> None:
    study = every_kind()
    for text in (
        pages.experiment_page(study.experiments[1], [], [], Path()),
        pages.frontier_page(study.frontier, list(study.reference), study.experiments, None, None),
    ):
        assert "at quick" not in text and "at full" not in text

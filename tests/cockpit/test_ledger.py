"""The ledger's panel: what comes first, what is foretold, who has gained what, and how fast the model writes."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from cockpit.feed import Snapshot
from cockpit.pages import moment
from cockpit.panels.ledger import Ledger, Speed, forecast, outcomes
from cockpit.view import Choices, View
from store.records import Limit
from tests.cockpit.studies import NOW, every_kind

HOUR = 3600.0


def text(study: Snapshot, width: int = 80, height: int = 60, speed: float | None = 14.2, **chosen: bool) -> list[str]:
    view = View(study, 1, NOW, found={Speed(): speed}, choices=Choices(**chosen))  # type: ignore[arg-type]
    return [line.text.rstrip() for line in Ledger().draw(view, width, height).body]


def limited(*limits: Limit) -> Snapshot:
    return replace(every_kind(), limits=limits)


TIME = Limit("time", 10 * HOUR, NOW, 8 * HOUR, 0, HOUR, NOW + 2 * HOUR)
EXPERIMENTS = Limit("experiments", 200, NOW, 48, 2, 5.0, NOW + 30 * HOUR)
TOKENS = Limit("tokens", 500_000, NOW, 318_000, 0, 35_000.0, NOW + 5 * HOUR)


def test_in_five_lines_the_budgets_that_end_first_stand_first_and_the_forecast_is_said_in_words() -> None:
    rows = text(limited(EXPERIMENTS, TOKENS, TIME), 120, 5)
    assert len(rows) == 4
    assert [row[82:90].strip() for row in rows[:3]] == ["time", "tokens", "exp."]
    assert rows[0].endswith("of 10 h 00") and rows[1].endswith("of 500k") and rows[2].endswith("of 200")
    assert rows[3].endswith(f"time ends first, at {moment(NOW + 2 * HOUR, NOW)}, at exp. 58")


def test_each_budget_says_how_much_of_it_is_spent_when_the_first_is_used_up() -> None:
    rows = {row.split()[0]: row for row in text(limited(EXPERIMENTS, TOKENS, TIME)) if row.split()}
    assert rows["time"].endswith(f"ends {moment(NOW + 2 * HOUR, NOW)} first")
    assert any(row.endswith("388k by then") for row in text(limited(TOKENS, TIME)))
    assert rows["experiments"].endswith("58 by then")


def test_nothing_is_foretold_of_few_experiments_nor_without_an_engine() -> None:
    study = limited(EXPERIMENTS, TIME)
    few = replace(study, experiments=study.experiments[:4])
    assert forecast(few, NOW) != "" and "first" not in "\n".join(text(few))
    assert forecast(replace(few, limits=(replace(TIME, ends_at=None),)), NOW) == "no forecast before 5 experiments"
    assert forecast(replace(study, pid=None), NOW) == "no engine runs"
    assert forecast(limited(TOKENS), NOW) == f"tokens end first, at {moment(NOW + 5 * HOUR, NOW)}"


def test_tokens_first_orders_by_tokens_and_has_their_shares() -> None:
    rows = text(every_kind(), by_tokens=True, outcomes=True)
    assert rows[0].startswith(" by outcome") and rows[1].split()[0] == "frontier" and "55 %" in rows[1]
    assert rows[3].startswith(" refused: duplicate") and "14 %" in rows[3]
    bars = [row.split()[0] for row in rows if row.startswith((" slot", " tokens  "))]
    assert bars[:2] == ["tokens", "slot"]


def test_what_took_as_much_is_ordered_by_what_else_it_took_and_what_took_nothing_is_left_out() -> None:
    spent = {
        "idle: engine": {"seconds": 0.0},
        "no proposal": {"tokens": 10.0},
        "refused: duplicate": {"tokens": 900.0, "model_seconds": 9.0},
        "worse": {"seconds": 60.0},
        "frontier": {"seconds": 60.0, "tokens": 20.0},
    }
    study = every_kind()
    account = replace(study.account, ledger=replace(study.ledger, by_outcome=spent))
    for by_tokens, order in (
        (False, ["frontier", "worse", "refused: duplicate", "no proposal", "total"]),
        (True, ["refused: duplicate", "frontier", "no proposal", "worse", "total"]),
    ):
        rows = [one.text for one in outcomes(replace(study, account=account), 80, by_tokens=by_tokens)]
        assert [row[:30].strip() for row in rows[1:]] == order


def test_the_study_each_model_and_each_operator_has_its_yield() -> None:
    rows = text(every_kind())
    those = rows[next(index for index, row in enumerate(rows) if row.startswith(" yield")) + 1 :]
    assert [row[1:29].strip() for row in those] == [
        "the study",
        "qwen2.5-coder:7b",
        "knobs, optimiser",
        "rewrite, model",
    ]
    assert those[0].split()[2:4] == ["7", "2"] and those[1].endswith("5.7k")


def test_what_was_merged_unconfirmed_is_said_beside_what_was_merged() -> None:
    study = every_kind()
    account = replace(study.account, funnel=replace(study.account.funnel, unconfirmed=2))
    merged = [
        next(row for row in text(one) if row.startswith(" merged")) for one in (study, replace(study, account=account))
    ]
    assert "unconfirmed" not in merged[0] and "and 2 unconfirmed" in merged[1]


def test_how_fast_the_model_writes_is_said_where_there_is_one_at_work() -> None:
    study = every_kind()
    view = View(study, 1, NOW, found={Speed(): 3.14})
    assert [*Ledger().wants(view)] == [Speed()]
    assert Ledger().draw(view, 120, 5).note == [("3.1 tokens/s now", "dim")]
    assert any("the model writes 14 tokens/s now" in row for row in text(study))
    assert not any("tokens/s" in row for row in (*text(study, speed=None), *text(replace(study, pid=None))))
    assert [*Ledger().wants(View(replace(study, pid=None), 1, NOW))] == []


@settings(deadline=None)
@given(st.integers(66, 220), st.integers(3, 60), st.booleans(), st.booleans())
def test_no_line_of_the_ledger_is_wider_than_its_panel(width: int, height: int, tokens: bool, outcomes: bool) -> None:
    for study in (every_kind(), limited(EXPERIMENTS, TOKENS, TIME), limited()):
        for row in text(study, width, height, by_tokens=tokens, outcomes=outcomes):
            assert cell_len(row) <= width, row


def test_alone_on_a_wide_screen_the_tables_stand_beside_all_else() -> None:
    wide, slim = text(every_kind(), 200), text(every_kind(), 120)
    assert len(wide) < 30 < len(slim) and all(cell_len(one) <= 200 for one in wide)
    head = next(one for one in wide if one.startswith(" proposed"))
    assert head.index("by outcome") == 117
    assert text(every_kind(), 200, outcomes=True)[5].startswith(" by outcome")

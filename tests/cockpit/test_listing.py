"""What is listed, and in what order."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cockpit.feed import Snapshot
from cockpit.listing import listed, nested, ordered, sorts
from cockpit.view import Choices
from store.records import State
from tests.cockpit.studies import every_kind, experiment

parents = st.lists(st.integers(0, 30), max_size=30)


def family(drawn: list[int]) -> Snapshot:
    """A study whose experiments were made from those before them."""
    rows = [experiment(0, "baseline", State.MEASURED)]
    rows += [
        experiment(number, f"row-{number}", State.MEASURED, parent=parent % number)
        for number, parent in enumerate(drawn, 1)
    ]
    return replace(every_kind(), experiments=tuple(rows))


@given(parents, st.sampled_from(list(sorts(every_kind()))), st.booleans(), st.booleans(), st.booleans())
def test_every_experiment_is_listed_once_however_it_is_sorted(
    drawn: list[int], sort: str, backwards: bool, tree: bool, spaced: bool
) -> None:
    for study in (family(drawn), every_kind()):
        shown = listed(study, Choices(sort, backwards, tree), spaced=spaced)
        assert sorted(shown.numbers) == list(range(len(study.experiments)))
        lines = [shown.line(number) for number in shown.numbers]
        assert [line is not None and shown.entries[line] for line in lines] == shown.numbers


@given(parents)
def test_in_a_tree_each_is_below_what_it_was_made_from(drawn: list[int]) -> None:
    study = family(drawn)
    ancestors: list[int] = []
    for one, generation in nested(ordered(study, study.experiments, Choices()), study):
        del ancestors[generation:]
        assert one.parent == (ancestors[-1] if ancestors else None)
        ancestors.append(one.number)


@given(parents, st.sampled_from(["row-1", "row", "e0003", "measured e0002", "nothing"]))
def test_a_search_and_what_it_does_not_find_are_all(drawn: list[int], search: str) -> None:
    study = family(drawn)
    found, others = (
        listed(study, Choices(search=search, inverted=inverted, tree=True), spaced=False).numbers
        for inverted in (False, True)
    )
    assert sorted([*found, *others]) == list(range(len(study.experiments)))


def test_a_search_is_of_states_verdicts_names_and_words_together() -> None:
    study = every_kind()

    def found(search: str) -> list[int]:
        return sorted(listed(study, Choices(search=search), spaced=False).numbers)

    assert found("worse") == [4, 6], "the verdict, and not the sentence of another one"
    assert found("wors") == [1, 4, 6], "while it is typed it is any word"
    assert found("failed") == [3] and found("MEMORY depth") == [3]
    assert found("lr-8e-3") == [4] and found("promising drop") == [1] and found("screened worse") == [4, 6]
    assert found("stale") == [] and sorted(
        listed(replace(study, incumbent=5), Choices(search="stale"), spaced=False).numbers
    ) == [1, 2, 4, 7, 8]


def test_sorted_by_an_objective_the_best_are_first_and_those_without_a_figure_last() -> None:
    study = every_kind()
    numbers = listed(study, Choices(sort="gain: predict_us_per_item"), spaced=True).numbers
    assert numbers[:2] == [5, 1] and set(numbers[-4:]) == {0, 3, 7, 8}
    back = listed(study, Choices(sort="gain: predict_us_per_item", backwards=True), spaced=True).numbers
    assert set(back[-4:]) == {0, 3, 7, 8} and back[:1] != numbers[:1]


def test_an_objective_that_is_called_like_a_column_is_another_column() -> None:
    study = every_kind()
    assert study.engine is not None
    objectives = {**study.facts["objectives"], "nll": {**study.facts["objectives"]["nll"], "label": "cost"}}
    study = replace(study, engine=replace(study.engine, facts={**study.facts, "objectives": objectives}))
    every = sorts(study)
    assert list(every.values()).count("cost") == 2 and len(every) == 9

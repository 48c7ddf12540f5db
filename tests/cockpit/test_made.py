"""What was made of each experiment is made anew of those alone that were read anew."""

from msgspec.structs import replace

from cockpit.made import Made
from store.records import Experiment, State
from tests.cockpit.studies import experiment


def test_only_what_was_read_anew_is_asked_again_and_what_was_handed_out_stays() -> None:
    made, asked = Made(), list[int]()

    def slug(one: Experiment, ending: str) -> str:
        asked.append(one.number)
        return one.slug + ending

    rows = tuple(experiment(number, f"row-{number}", State.MEASURED) for number in range(4))
    first = made.each(rows, slug, "!")
    again = made.each(
        (rows[0], replace(rows[1], slug="other"), *rows[2:], experiment(4, "new", State.QUEUED)), slug, "!"
    )
    assert first == ["row-0!", "row-1!", "row-2!", "row-3!"]
    assert again == ["row-0!", "other!", "row-2!", "row-3!", "new!"]
    assert asked == [0, 1, 2, 3, 1, 4]
    assert made.each(rows[:2], slug, "!") == ["row-0!", "row-1!"], "fewer than before"
    assert made.each(rows[:2], slug, "?") == ["row-0?", "row-1?"], "given something else"

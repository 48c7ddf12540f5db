"""Panel 6: one call to a model: what it was told, what of that was cut, what it answered, what became of it."""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from msgspec.structs import replace
from rich.cells import chop_cells

from cockpit import figures, told
from cockpit.glyphs import look
from cockpit.keys import LOOK, Key, bindings
from cockpit.line import Line, Piece, apart, fit, line, right, width_of, wrap
from cockpit.pages import count
from cockpit.text import clean
from cockpit.told import Part
from cockpit.view import Arrangement, Drawing, Opened, Reading, Source, View, Want
from cockpit.widgets.panel import Cell, Panel
from store import calls
from store.calls import Told
from store.records import CallOutcome, by, name_of

KEYS = (
    Key("previous_call", "left_square_bracket", "call(-1)", LOOK, "the call before, the next one", "call"),
    Key("next_call", "right_square_bracket", "call(1)", LOOK, ""),
    Key(
        "open",
        "enter",
        "look_into",
        LOOK,
        "what the cursor is on, or what became of it",
        "open",
    ),
    Key("prompt", "t", "read('prompt')", LOOK, "the whole prompt, as it was sent", "prompt"),
    Key("answer", "w", "read('answer')", LOOK, "the whole answer", "answer"),
    Key("back", "escape", "close", LOOK, "close what is open"),
)
NAME = 12  # columns of a section's name
CHUNK = 2_000  # characters that are cleaned at once: a line may be longer than `clean` would have it
BESIDE = 10  # lines beside the parts of a prompt
LEAST_BAR, MOST_BAR = 6, 60
LEAST_LEFT = 6  # lines left over, from which on a text begins in them
FIRST = "for a model: start Ollama, then the engine anew"
NEWEST = 0  # in the place of a call's id: whichever is the newest


class Asked(Want[Told | str | None], frozen=True):
    """A call by its id, or the study's NEWEST; else the newest that came to an experiment, else the study's.

    None where there was none yet.
    """

    call: int | None
    experiment: int
    every_seconds: ClassVar[float | None] = 1.0  # for it may be under way, and no event says that one has begun

    async def read(self, source: Source) -> Told | str | None:
        """Ask the record. What cannot be read says why."""
        try:
            if self.call == NEWEST:
                return await calls.told(source.database)
            if self.call is not None:
                return await calls.told(source.database, call=self.call)
            own = await calls.told(source.database, experiment=self.experiment)
            return own or await calls.told(source.database)
        except (sqlite3.Error, ValueError, OSError) as error:  # it is being closed
            return f"the calls cannot be read: {error}"


def reading(view: View) -> Reading:
    """Which call is looked at: a choice is forgotten with the experiment for which it was made."""
    chosen = view.choices.reading
    return chosen if chosen.experiment == view.selected else Reading(view.selected)


def asked(view: View) -> Asked:
    """What is read for it."""
    call = reading(view).call
    return Asked(call, view.selected if call is None else -1)


# --- what stands above -----------------------------------------------------------------------------------------------


def head(view: View, one: Told, width: int) -> list[Line]:
    """Which call, and what was sent of what it could have been."""
    call, came = one.call, told.experiment(one)
    left: list[Piece] = [(f" call {call.id}", "bold"), (f"  for {name_of(came)}" if came is not None else "", "text")]
    what, held = f"  {call.operator}, {call.purpose}", told.held(call)
    full = width_of(left) + len(what) + len(told.took(call, view.now)) + len(held) + 3 <= width
    end: list[Piece] = [(told.took(call, view.now) + (held if full else ""), "dim" if call.outcome else "sky"), " "]
    room = max(0, width - width_of(left) - width_of(end) - 2)
    what = f"{what} · {call.model}" if len(what) + 8 <= room else what
    left.append((fit(what, min(len(what), room)), "dim"))
    sent: list[Piece] = [" "]
    for word, number in told.sizes(one):
        sent += [(f"{word} ", "dim"), (number, "bold" if word == "sent" else "bad" if "cut" in word else "text")]
    return [apart(left, end, width), _fitting(sent, width)]


def _fitting(pieces: Sequence[Piece], width: int) -> Line:
    """As many pairs of a word and a number as there is room for."""
    shown = list(pieces)
    while len(shown) > 3 and width_of(shown) > width:
        shown = shown[:-2]
    return line(*shown)


def elsewhere(view: View, one: Told, width: int) -> list[Line]:
    """Where what is shown did not come to the experiment that is selected: why it is shown all the same."""
    selected, came = view.one, told.experiment(one)
    if selected is None or came == selected.number or reading(view).call is not None:
        return []
    who = "is the unchanged code" if selected.number == 0 else f"came from {by(selected.proposer)}, and no call"
    texts = wrap(f"{selected.id} {who}: this is the study's newest call", width - 2, 2)
    return [line((f" {text}", "dim")) for text in texts]


# --- what stands below -----------------------------------------------------------------------------------------------


def rows(view: View, one: Told) -> list[Part | str]:
    """What the cursor goes through: the parts of the prompt, the answer, the experiment that came of it."""
    came = told.experiment(one)
    return [*told.parts(one), "answer", *(["became"] if came is not None and view.study.experiment(came) else [])]


def is_tight(one: Told, height: int) -> bool:
    """Whether there is no room for all of it, in so many lines: then what came of it stands first."""
    return len(told.parts(one)) + BESIDE > height


def under(view: View, one: Told) -> Part | str:
    """What the cursor is on; "" before there is one."""
    every, row = rows(view, one), reading(view).row
    return "" if row is None else every[min(row, len(every) - 1)]


def table(those: Sequence[Part], width: int, at: int | None) -> list[Line]:
    """A line for each part: how much it is, and what was cut of it; why is said once where it is the same for all."""
    most = max([one.tokens or 0 for one in those], default=0)
    whys = {one.cut for one in those if one.cut}
    cuts = [one.gone if len(whys) == 1 else one.lost for one in those]
    title = f"cut {min(whys)}" if len(whys) == 1 else "what was cut"
    room = width - NAME - 12
    needed = max([len(title), *map(len, cuts)]) if any(cuts) else 0
    cells = min(MOST_BAR, max(LEAST_BAR, room - needed - 1))
    shown = f" {'section':{NAME}}{'tokens':>7}  {'':{cells}}  {title if needed else ''}"
    lines = [line((fit(shown, width).rstrip(), "dim"))]
    for index, (one, cut) in enumerate(zip(those, cuts, strict=True)):
        size = max(1, round(cells * (one.tokens or 0) / most)) if most and one.tokens else 0
        lines.append(
            line(
                *_marked(index == at),
                fit(one.name, NAME),
                right(told.reckoned(one.tokens), 7),
                "  ",
                ("█" * size + " " * (cells - size), "bad" if cut else "sky"),
                "  ",
                (fit(cut, max(0, room - cells)).rstrip(), "bad"),
                ground="selected" if index == at else "",
            )
        )
    return lines


def _marked(on: bool) -> list[Piece]:
    return [("▸", "sky") if on else " "]


def outcome(view: View, one: Told, width: int, at: str, *, quoted: bool = True) -> list[Line]:
    """What it answered, in its own words, and what became of it. `at` is what the cursor is on; "" where it is none.

    It is not `quoted` where the answer stands below.
    """
    call = one.call
    bad = call.outcome not in (None, CallOutcome.OK) or (one.became and one.became.proposal.refusal)
    said = fit(told.answered(one), width - 10).rstrip()
    ground = "selected" if at == "answer" else ""
    lines = [line(*_marked(at == "answer"), ("answer", "bold"), ("  " + said, "bad" if bad else "dim"), ground=ground)]
    if call.outcome is None and (why := waits(view)):
        lines.append(line((fit(f" {why}", width).rstrip(), "dim")))
    if quoted and (text := told.words(one)):
        lines.append(line((fit(f" “{text}", width - 2).rstrip() + "”", "dim")))
    came = told.experiment(one)
    if (experiment := view.study.experiment(came) if came is not None else None) is not None:
        glyph, word, style, _ = look(experiment)
        pieces: list[Piece] = [("became  ", "dim"), (f"{glyph} {experiment.id} {word}", style)]
        opens: list[Piece] = (
            ["   ", (view.keys["open"], "bold sky"), (" opens it", "dim")] if at in ("", "became") else []
        )
        lines.append(line(*_marked(at == "became"), *pieces, *opens, ground="selected" if at == "became" else ""))
    else:
        texts = wrap(told.became(one), width - 10, 3)
        heads = ("became", *[""] * len(texts))
        lines += [
            line((f" {first:6}  ", "dim"), (text, "bad" if bad and one.became else "dim"))
            for first, text in zip(heads, texts, strict=False)
        ]
    return lines


def waits(view: View) -> str:
    """What a call that is under way may be waiting for."""
    if view.study.pid is None:
        return f"its engine is gone: {view.keys['run']} goes on"
    if view.study.facts.get("model_host") == "embedded" and view.study.running:
        names = ", ".join(sorted({name_of(run.experiment) for run in view.study.running}))
        return f"it is held while a stage of {names} is timed on the same machine"
    return ""


@lru_cache(maxsize=4)  # of what is read it is asked at every tick and key
def unfolded(text: str, width: int) -> Sequence[Line]:
    """All of a text, broken where the line ends, so that code stays as it is."""
    return tuple(_unfolded(text, width))


def _unfolded(text: str, width: int) -> Iterator[Line]:
    for whole in text.split("\n"):
        for start in range(0, max(1, len(whole)), CHUNK):
            for part in clean(whole[start : start + CHUNK]).split("\n"):
                yield from (line(f" {piece}") for piece in chop_cells(part, max(1, width - 2)) or [""])


def opened(view: View, one: Told, width: int) -> tuple[Line, Sequence[Line]]:
    """What is read whole: what it is, and its text."""
    state = reading(view)
    part = under(view, one) if state.opened is Opened.PART else state.opened
    name, text = _read(one, part)
    end: list[Piece] = [(view.keys["back"], "bold sky"), (" closes it ", "dim")]
    title = apart([(fit(f" {name}", width - width_of(end) - 1).rstrip(), "bold")], end, width)
    return title, unfolded(text, width) if text else [line((" nothing", "dim"))]


def _read(one: Told, what: Part | str) -> tuple[str, str]:
    """What is to be read, and its text: a part of the prompt, the whole of it, or else the answer."""
    if what == Opened.PROMPT:
        return "the whole prompt, as it was sent", told.whole(one.call)
    if isinstance(what, Part):
        return (
            f"{what.name}, {told.reckoned(what.tokens)} tokens{f'   cut: {what.lost}' if what.lost else ''}",
            what.text,
        )
    tokens = one.call.answer_tokens
    return f"the whole answer{'' if tokens is None else f', {figures.amount(tokens)} tokens'}", one.call.answer


def begun(view: View, one: Told, width: int, rows: int) -> list[Line]:
    """How what the cursor is on begins, in so many rows that are left over; before there is one, what it was told."""
    at = under(view, one)
    name, text = _read(one, at if at != "" else "answer" if one.call.answer else Opened.PROMPT)
    name = name.replace("the whole ", "the ")  # which is what a key opens
    if (
        rows < LEAST_LEFT
        or not text
        or (not isinstance(at, Part) and text == one.call.answer and _is_quoted(one, width))
    ):
        return []
    whole = unfolded(text, width)
    shown = [line(*((piece, "dim") for piece, _ in each.pieces)) for each in whole[: rows - 2]]
    more = f"   {count(len(whole) - len(shown), 'line')} more" if len(shown) < len(whole) else ""
    return [line(), line((fit(f" {name}", width - len(more)).rstrip(), "bold"), (more, "faint")), *shown]


def _is_quoted(one: Told, width: int) -> bool:
    """Whether all of the answer stands in the one line that quotes it."""
    return told.words(one) == one.call.answer and "\n" not in one.call.answer and len(one.call.answer) < width - 3


class Context(Panel):
    """One call."""

    BINDINGS = [*bindings(KEYS)]
    number = 6
    title = "Context"
    cell = Cell.DETAIL
    keys = KEYS
    ticks = True

    def wants(self, view: View) -> Sequence[Want[Any]]:
        """The call, with what belongs to it."""
        return (asked(view),)

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """The call as a table; or what is opened of it."""
        want = asked(view)
        one = view.get(want)
        if not isinstance(one, Told):
            facts = view.study.facts
            text = one or told.without(facts.get("model"), facts.get("model_why", ""))
            text = text if one or want in view.found or not facts or facts["model"] == "none" else "reading the call…"
            lacks = not one and facts.get("model") == "none" and "Ollama" in facts.get("model_why", "")
            rows = [line(f"  {fit(FIRST, width - 4).rstrip()}")] if lacks else []
            rows += [line((f"  {part}", "dim")) for part in wrap(text, width - 4, max(4, height - 2))]
            return Drawing([line(), *rows])
        above = [*head(view, one, width), *elsewhere(view, one, width)]
        note = [(f"call {one.call.id} of {one.newest}", "dim")]
        state = reading(view)
        if state.opened is not Opened.NOTHING:
            title, body = opened(view, one, width)
            return Drawing(body, [*above[:1], title], note)
        tight = is_tight(one, height)
        at = under(view, one)
        those = told.parts(one)
        listed = table(those, width, those.index(at) if isinstance(at, Part) else None)
        said = outcome(view, one, width, at if isinstance(at, str) else "part")
        body = [*said, line(), *listed] if tight else [line(), *listed, line(), *said]
        left = height - len(above) - len(body)
        below = begun(view, one, width, left)
        if below and one.call.answer and not isinstance(at, Part) and told.words(one) == one.call.answer:
            said = outcome(view, one, width, at, quoted=False)
            body, below = [line(), *listed, line(), *said], begun(view, one, width, left + 1)
        return Drawing([*body, *below], above, note)

    # --- its keys -----------------------------------------------------------------------------------------------------

    def _read(self, **changes: Any) -> None:
        if self.view is not None:
            self.choose(reading=replace(reading(self.view), **changes))

    def _told(self) -> Told | None:
        one = self.view.get(asked(self.view)) if self.view else None
        return one if isinstance(one, Told) else None

    def action_call(self, by: int) -> None:
        """So many calls further. What is not read yet is gone through, too: a key may be typed ahead."""
        if self.view is None:
            return
        one, at = self._told(), reading(self.view).call
        if not at and one is None:
            return
        number = max(1, (at or (one.call.id if one else 1)) + by)
        newest = one is not None and number >= one.newest and by > 0  # and those that come after it
        self._read(call=NEWEST if newest else number, row=None, opened=Opened.NOTHING)
        self._scroll(0)

    def action_look_into(self) -> None:
        """Open what the cursor is on; before there is one, the experiment that came of it, or else the answer."""
        if self.view is None or (one := self._told()) is None or reading(self.view).opened is not Opened.NOTHING:
            return
        at = under(self.view, one)
        came = told.experiment(one) if "became" in rows(self.view, one) else None
        if came is not None and at in ("", "became"):
            self.post_message(self.Selected(came))
            self.post_message(self.Opened(3))
        else:
            self.action_read(Opened.PART if isinstance(at, Part) else Opened.ANSWER)

    def action_read(self, what: str) -> None:
        """Open the whole prompt, the whole answer, or the part under the cursor."""
        if self._told() is not None:
            self._read(opened=Opened(what))
            self._scroll(0)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where nothing is open, the key that closes it is the screen's."""
        return action != "close" or (self.view is not None and reading(self.view).opened is not Opened.NOTHING)

    def action_close(self) -> None:
        """Close what is open."""
        self._read(opened=Opened.NOTHING)
        self._follow()

    def scroll_lines(self, by: int) -> None:
        """The cursor so many down or up; where something is open, its text."""
        one = self._told()
        if self.view is None or one is None or reading(self.view).opened is not Opened.NOTHING:
            super().scroll_lines(by)
            return
        order, row = self._order(self.view, one), reading(self.view).row
        at = (-1 if by > 0 else len(order)) if row is None else order.index(min(row, len(order) - 1))
        self._read(row=order[max(0, min(len(order) - 1, at + by))])
        self._follow()

    def _order(self, view: View, one: Told) -> list[int]:
        """The rows as they are drawn."""
        rules = 0 if view.arrangement is Arrangement.NARROW else 1
        every, parts = len(rows(view, one)), len(told.parts(one))
        first = parts if is_tight(one, self.size.height - rules) else 0
        return [*range(first, every), *range(first)]

    def _follow(self) -> None:
        """The cursor is in sight; what is above the first and below the last, too."""
        at = [index for index, one in enumerate(self.drawing.body) if one.ground == "selected"]
        if at and self.view is not None and (one := self._told()) is not None:
            order, row = self._order(self.view, one), reading(self.view).row
            ends = {order[0]: 0, order[-1]: len(self.drawing.body) - 1}
            self._show_cursor(ends.get(-1 if row is None else row, at[0]), self.scroll_offset.y)

"""The widgets: each draws lines, and when what they show has changed, only the lines that are not the same."""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, ClassVar

from msgspec.structs import replace
from rich.cells import cell_len
from textual.binding import Binding
from textual.events import Blur, Click, DescendantBlur, DescendantFocus, Event, Focus, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.keys import Key, pressed
from cockpit.line import Line, rule, segments, width_of
from cockpit.themes import drawn_in
from cockpit.view import Arrangement, Choices, Drawing, View, Want

LEAST_DRAWN = 8  # columns: while a terminal is made small, a panel has fewer for a moment, and is hidden then


class Lines(ScrollView, can_focus=False, inherit_bindings=False):
    """Lines under one another. Textual repaints a widget as a whole; this one the lines that differ."""

    DEFAULT_CSS = """
    Lines { scrollbar-size: 0 0; height: 1fr; background: transparent; }
    """

    def __init__(self, name: str | None = None, body: Sequence[Line] = ()) -> None:
        super().__init__(id=name)
        self.head: Sequence[Line] = ()
        self.body = body
        self._asked: list[Line] = []  # to be painted, by line of the widget
        self._room = Size(0, 0)  # that there was then

    def show(self, body: Sequence[Line], head: Sequence[Line] = ()) -> None:
        """Show these lines from now on."""
        if not self.is_attached:  # the screen is being closed
            return
        self.head, self.body = head, body
        size = Size(self.size.width, len(head) + len(body))
        before, room = self.virtual_size, self.size.height
        if size.width != before.width or (size.height > room) is not (before.height > room):
            self.virtual_size = size
        else:  # only how far one can scroll has changed, for which nothing is laid out anew
            self.set_reactive(Lines.virtual_size, size)
        if self.scroll_y > (last := max(0, size.height - room)):
            self.scroll_y = last
        self.repaint()

    def repaint(self) -> None:
        """Have the lines painted that are not those which were asked for last.

        What Textual has asked of `render_line` says nothing: it also renders what it does not send. In a room that is
        another one it paints all of them by itself.
        """
        lines = [self._line(y) for y in range(self.size.height)]
        for y, one in enumerate(lines) if self.size == self._room else ():
            if self._asked[y] != one:
                self.refresh(Region(0, y, self.size.width, 1))
        self._asked, self._room = lines, self.size

    def _line(self, y: int) -> Line:
        if y < len(self.head):
            return self.head[y]
        index = y - len(self.head) + self.scroll_offset.y
        return self.body[index] if index < len(self.body) else Line()

    def fit(self) -> None:
        """Draw for the room that there is now."""
        self.show(self.body, self.head)

    def render_lines(self, crop: Region) -> list[Strip]:
        """In a new room they are drawn for it before they are painted: the first picture is the whole one."""
        if self.size != self._room:
            self.fit()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line, as Textual asks for it."""
        asked = self._asked[y] if y < len(self._asked) else self._line(y)
        return Strip(segments(asked, self.size.width, drawn_in(self.app.theme)), self.size.width)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """All of it is painted anew."""
        super().watch_scroll_y(old_value, new_value)
        self._asked = [self._line(y) for y in range(self.size.height)]

    def on_resize(self, _: Resize) -> None:
        """Where it was hidden, and is shown again, it is drawn as it is now."""
        self.fit()


class Foot(Lines):
    """Keys, and what each does: a click presses it."""

    def on_click(self, event: Click) -> None:
        """Press the key that stands there, or before it."""
        at, shown = 0, ""
        for text, style in self.body[0].pieces if self.body else ():
            shown = text if style == "bold sky" else shown
            at += cell_len(text)
            if event.x < at and shown:
                self.app.simulate_key(pressed(shown))
                return


class Cell(IntEnum):
    """Where a panel stands where there is room for several; of those in one cell, one is shown."""

    LIST = 1
    FRONT = 2
    DETAIL = 3
    BELOW = 4


class Panel(Lines, can_focus=True, inherit_bindings=False):
    """A title on a rule, and what a View looks like beneath it. A subclass says what in `draw`, a pure function."""

    BINDINGS = [  # a panel's, for Textual's own screen would else take them
        Binding("tab", "app.next_panel(1)", show=False),
        Binding("shift+tab", "app.next_panel(-1)", show=False),
    ]
    number: ClassVar[int]
    title: ClassVar[str]
    cell: ClassVar[Cell]
    rank: ClassVar[float] = 6.0  # the order in which they stand, row by row, where there is room for all of them
    keys: ClassVar[Sequence[Key]] = ()  # its own; a subclass that has some also says BINDINGS = bindings(KEYS)
    ticks: ClassVar[bool] = False  # what it shows changes with the time alone

    class Selected(Message):
        """An experiment is selected here."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Opened(Message):
        """Another panel is to be shown."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Said(Message):
        """A key is answered: to be said in the strip."""

        def __init__(self, text: str, style: str = "text") -> None:
            super().__init__()
            self.text, self.style = text, style

    class Asked(Message):
        """Something is to be read at once, for a key and not to be drawn; what follows is given the answer."""

        def __init__(self, want: Want[Any], then: Callable[[Any], None]) -> None:
            super().__init__()
            self.want, self.then = want, then

    def __init__(self, chosen: Callable[[Choices], None] = lambda _: None) -> None:
        super().__init__(self.title.lower())
        self.view: View | None = None
        self.behind: Sequence[Panel] = ()  # those that stand in the same cell
        self._chosen = chosen
        self.drawing = Drawing(())
        self._drawn: View | None = None
        self._last: int | None = None  # that was selected when it was drawn

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """What a view looks like in so many columns and lines, the rule not counted."""
        raise NotImplementedError

    def wants(self, view: View) -> Sequence[Want[Any]]:
        """What has to be read to draw a view, beyond what it holds."""
        return ()

    @property
    def counts(self) -> bool:
        """Whether it shows what came of what was spent, which takes long to read."""
        return False

    def choose(self, **changes: Any) -> None:
        """See it otherwise from now on: fields of Choices. At once, for a key may be typed ahead."""
        if self.view is not None:
            self._chosen(replace(self.view.choices, **changes))

    def see(self, view: View, *, draw: bool = True) -> None:
        """Show this view, at once or later; a panel that is not on the screen does so when it comes to it."""
        self.view = view
        if draw and self.display and self.size.height and self.size.width >= LEAST_DRAWN and self.is_attached:
            self._redraw(view)

    def begin(self) -> None:
        """Show it from the top, when it is drawn next."""
        self._last = None

    def _redraw(self, view: View) -> None:
        rules = 0 if view.arrangement is Arrangement.NARROW else 1
        self._drawn = view
        before, stood = self.drawing, self.scroll_offset.y
        self.drawing = self.draw(view, self.size.width, self.size.height - rules)
        rule = [self._rule()] if rules else []
        self.show(self.drawing.body, [*rule, *self.drawing.head])
        same, self._last = self._last == view.selected, view.selected
        if self.drawing.cursor is None:
            if not same:
                self._scroll(0)
        elif not same or before.cursor is None:
            self._show_cursor(self.drawing.cursor, stood)
        elif self.drawing.cursor != before.cursor:  # others have come in above it, or gone
            whole = len(self.drawing.numbers) <= self.size.height - len(self.head)
            # It stays where it is on the screen, unless all that are listed are in sight anyhow.
            self._scroll(0 if whole else stood + self.drawing.cursor - before.cursor)

    def _show_cursor(self, cursor: int, stood: int) -> None:
        """What is selected by hand is in sight, and the heading of the first group with it."""
        room = max(1, self.size.height - len(self.head))
        self._scroll(0 if cursor <= 1 < room else min(max(stood, cursor - room + 1), cursor))

    def _scroll(self, top: int) -> None:
        top = max(0, min(top, len(self.head) + len(self.body) - self.size.height))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)

    def _rule(self) -> Line:
        behind = [(one.number, one.title) for one in self.behind]
        return rule(self.number, self.title, behind, self.drawing.note, self.size.width, focused=self.has_focus)

    def _behind_at(self, x: int) -> "Panel | None":
        """The panel in the same cell whose name stands there on the rule."""
        at = 0
        for one in sorted([self, *self.behind], key=lambda one: one.number):
            size = width_of((f"{one.number} {one.title}  ",))
            if at <= x < at + size:
                return one if one is not self else None
            at += size
        return None

    # --- what moves ---------------------------------------------------------------------------------------------------

    def step(self, by: int, selected: int) -> int | None:
        """The experiment so many further along from the one that is selected; None where lines are scrolled instead."""
        return None

    def scroll_lines(self, by: int) -> None:
        """So many lines down or up."""
        self._scroll(self.scroll_offset.y + by)

    @property
    def page_lines(self) -> int:
        """How many lines are a page."""
        return max(1, self.size.height - len(self.head) - 1)

    def chosen(self, y: int) -> int | None:
        """The experiment on a line of the widget, where there is one."""
        index = y - len(self.head) + self.scroll_offset.y
        return self.drawing.numbers[index] if len(self.head) <= y and 0 <= index < len(self.drawing.numbers) else None

    def on_click(self, event: Click) -> None:
        """A click selects what it is on; on a name in the rule, that panel."""
        ruled = self.view is not None and self.view.arrangement is not Arrangement.NARROW
        if ruled and event.y == 0 and (other := self._behind_at(event.x)):
            self.post_message(self.Opened(other.number))
        elif (number := self.chosen(event.y)) is not None:
            self.post_message(self.Selected(number))

    def fit(self) -> None:
        """What is shown depends on the room there is; what is selected is in sight again."""
        if self.view is None:
            super().fit()
        elif self.size != self._room or self.view is not self._drawn:
            if self.drawing.cursor is not None:
                self._last = None
            self.see(self.view)

    def on_focus(self, event: Focus) -> None:
        """The rule says where the keys go."""
        self._focused(event, DescendantFocus(self), has_focus=True)

    def on_blur(self, event: Blur) -> None:
        """The rule says where the keys go."""
        self._focused(event, DescendantBlur(self), has_focus=False)

    def _focused(self, event: Event, told: Event, *, has_focus: bool) -> None:
        """As Textual does it, but that the rule alone is painted."""
        event.prevent_default()
        self.has_focus = has_focus
        if self.parent is not None:
            self.parent.post_message(told)
        if self.view is not None:
            self.see(self.view)

"""The terminal: what it shows before Textual begins with it, and what it is sent where it has ASCII alone."""

import sys
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from textual.color import Color
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter

from cockpit.first import OTHER
from cockpit.twins import ascii_of

if TYPE_CHECKING:
    from cockpit.app import Cockpit


class Ascii(LineFilter):
    """What Textual asks before it sends a line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, their texts in ASCII."""
        return [Segment(ascii_of(text), style, control) for text, style, control in segments]


class Following(LinuxDriver):
    """It goes on from the first picture, where there is one. Left, the terminal is as it was before that."""

    def __init__(self, app: "Cockpit", **named: Any) -> None:
        super().__init__(app, **named)
        self._file = sys.__stdout__  # errors may go elsewhere: `cockpit 2>FILE`
        self._first = app.first

    def start_application_mode(self) -> None:
        """Go on from the picture; the next time, as after a pause, from nothing."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._first is not None:
            self._first.goes_on = True
            self.attrs_before, self._first = self._first.modes, None

    def write(self, data: str) -> None:
        """Send it. What shows the picture is not asked for its other screen again: some would clear it."""
        if self._first is None or data != OTHER:
            super().write(data)

"""How states and verdicts look: a glyph of neutral width and without an emoji form, a word, a colour."""

from typing import NamedTuple

from store.records import Evidence, Experiment, State, Verification, Word


class Look(NamedTuple):
    """A glyph, the word that stands with it, and the name of their style."""

    glyph: str
    word: str
    style: str
    meaning: str


OFFER = Look("◊", "offer", "offer", "confirmed, waits for you")
STATES = {
    State.RUNNING: Look("►", "running", "sky", "a seed is on a slot"),
    State.QUEUED: Look("◦", "queued", "dim", "a branch, not yet run"),
    State.MEASURED: Look("◦", "measured", "dim", "waits for its verdict"),
    State.MERGED: Look("✓", "merged", "good", "in trunk"),
    State.REJECTED: Look("✕", "rejected", "dim", "you said no"),
    State.FAILED: Look("!", "failed", "bad", "it broke: the row says how"),
}
WORDS = {
    Word.BETTER: Look("▴", "better", "good", "up somewhere, nothing lost"),
    Word.GAIN: Look("▵", "gain", "good", "up, the rest not yet shown safe"),
    Word.TRADE_OFF: Look("⇅", "trade-off", "text", "up somewhere at a known price"),
    Word.EQUAL: Look("=", "equal", "dim", "no difference that matters"),
    Word.WORSE: Look("▾", "worse", "dim", "down, and up nowhere"),
    Word.INCONCLUSIVE: Look("~", "inconclusive", "dim", "the noise hides the effect"),
    Word.INFEASIBLE: Look("⊘", "infeasible", "dim", "it breaks a bound that must hold"),
}
FAILS = Look("!", "merged", "bad", "in trunk, and does not hold")
BASELINE = Look("◉", "baseline", "trunk", "the unchanged code")


def look(one: Experiment) -> Look:
    """How an experiment looks in a list. What is only screened is dim throughout: there is no evidence for it yet."""
    if one.number == 0 and one.state in (State.MEASURED, State.JUDGED):
        return BASELINE
    if one.verification is Verification.FAILS:
        return FAILS
    if one.state is not State.JUDGED or one.verdict is None:
        return STATES.get(one.state, STATES[State.MEASURED])
    if one.offered:
        return OFFER
    said = WORDS[one.verdict.word]
    return said if one.verdict.evidence is not Evidence.SCREENED else said._replace(style="dim")


def promising(one: Experiment) -> bool:
    """Whether it is up on several seeds, and neither confirmed nor decided."""
    return one.state is State.JUDGED and one.verdict is not None and one.verdict.promising

"""How cooperative the fake model is where it is free to decide. Nothing that is judged may depend on it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from conformance.wire.chat_request import DeclaredTool

_PROSE = (
    "Sure.",
    "That is a good question, and the answer is: it depends.",
    "Hm.",
    "No.",
    "Grüße aus der Ferne 👋",
    "",
)


@dataclass(frozen=True)
class Wish:
    """A call that the model would like to make; `hint` goes into the first free text of the arguments."""

    tool: DeclaredTool
    hint: str | None = None


class Mind:
    """Obedient: does what the prompt says."""

    name = "obedient"
    beside: str | None = None
    """Text that it puts beside calls."""

    def may_call(self, wanted: list[Wish], offered: tuple[DeclaredTool, ...], draw: random.Random) -> list[Wish]:
        """The calls it makes when it is free to make none."""
        return wanted

    def must_call(self, wanted: list[Wish], offered: tuple[DeclaredTool, ...], draw: random.Random) -> list[Wish]:
        """The calls it makes when it has to make one; not empty."""
        return wanted or [Wish(offered[0])]

    def says(self, text: str, draw: random.Random) -> str:
        """What it says instead of `text`, the obedient answer, when its words are free."""
        return text


class _Refusing(Mind):
    """Declines in polite prose, and never calls unless forced."""

    name = "refusing"

    def may_call(self, wanted: list[Wish], offered: tuple[DeclaredTool, ...], draw: random.Random) -> list[Wish]:
        return []

    def says(self, text: str, draw: random.Random) -> str:
        return "I am sorry, but I would rather not help with that."


class _Random(Mind):
    """Decides by lot."""

    name = "random"

    def may_call(self, wanted: list[Wish], offered: tuple[DeclaredTool, ...], draw: random.Random) -> list[Wish]:
        return self.must_call(wanted, offered, draw) if draw.random() < 0.5 else []

    def must_call(self, wanted: list[Wish], offered: tuple[DeclaredTool, ...], draw: random.Random) -> list[Wish]:
        pool = [*wanted, *(Wish(tool) for tool in offered)]
        return draw.sample(pool, min(len(pool), draw.choice((1, 1, 2))))

    def says(self, text: str, draw: random.Random) -> str:
        return text if draw.random() < 0.5 else draw.choice(_PROSE)


class _Chatty(Mind):
    """Talks beside its calls, and at length."""

    name = "chatty"
    beside = "Let me look that up for you."

    def says(self, text: str, draw: random.Random) -> str:
        return f"{text} Is there anything else that you would like to know? I am happy to go on about it."


MINDS: dict[str, Mind] = {mind.name: mind for mind in (Mind(), _Refusing(), _Random(), _Chatty())}

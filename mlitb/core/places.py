"""How many browsers get orders at once, when more want to compute than the server's link and processor can carry.

Rules of this file:
- Nothing is limited until a quarter of all answers comes too late: then the deadline is missed because of the crowd.
  Single slow links never make a quarter of a crowd, and a browser that does not answer at all is no sign of one.
- n browsers that share a link compute n · (T − k · n): most where the overhead is half of T. A limit that exists seeks
  that point from below, half of the way at a time; it ends when it lets in everybody who could work.
- Who answered in time keeps the place; an eighth of the places goes to those that have waited longest. These are
  served first: nothing is known of how long they need.
"""

from collections.abc import Iterable
from math import inf

from mlitb.core.iteration import Iteration
from mlitb.core.members import Browser

LEAST = 16
"""Fewer browsers are never a crowd."""

LATE_SHARE = 0.25
LOW, HIGH = 0.4, 0.5
"""Overhead as a share of T between which a limit is left as it is."""

AIM = 0.45
MOST_UP, MOST_DOWN = 0.5, 0.25
"""Of the limit, at one close."""

TURNS = 0.125
"""Share of the places that goes round."""


class Places:
    """A project's limit, moved at each close."""

    def __init__(self) -> None:
        self.limit = inf  # browsers
        self.late = 0  # answers that came too late, since the last close
        self._just_cut = False  # what is late now was ordered before the cut
        self._somebody_waits = False

    def closed(self, iteration: Iteration) -> str:
        """Judge an iteration that closes; say so if that begins a limit."""
        late, self.late = self.late, 0
        just_cut, self._just_cut = self._just_cut, False
        ordered, answers = iteration.ordered, iteration.answers
        if ordered < LEAST or just_cut:
            return ""
        share = iteration.overhead_ms / answers / iteration.period_ms if answers else 1.0
        if late > LATE_SHARE * (late + answers):
            begins, self._just_cut = self.limit == inf, True
            self.limit = max(answers if share < HIGH else 0, ordered // 2, LEAST)
            return f"{late} answers came too late: this server cannot carry {ordered} browsers at once" * begins
        if self.limit < inf and not LOW <= share <= HIGH:
            half_way = (AIM / max(share, 0.01) - 1) / 2
            self.limit = max(LEAST, int(self.limit * (1 + max(-MOST_DOWN, min(MOST_UP, half_way)))))
        return ""

    def taken(self, browsers: Iterable[Browser]) -> Iterable[Browser]:
        """Choose who may get orders now, in the order in which to serve them; the others wait for a turn."""
        everyone = list(browsers)
        able = [browser for browser in everyone if browser.could_work()] if self.limit < inf else []
        if len(able) <= self.limit:
            self.limit = inf
            for browser in everyone if self._somebody_waits else ():
                browser.waits = False
            self._somebody_waits = False
            return everyone
        self._somebody_waits = True
        places = int(self.limit)
        latest = max(browser.sent_at for browser in able)
        keep = [browser for browser in able if browser.sent_at == latest and not browser.silent]
        keep.sort(key=lambda browser: browser.link.overhead_ms)
        del keep[places - int(TURNS * places) :]
        for browser in able:
            browser.waits = True
        for browser in keep:
            browser.waits = False
        queue = sorted((browser for browser in able if browser.waits), key=lambda browser: browser.sent_at)
        turns = queue[: places - len(keep)]
        for browser in turns:
            browser.waits = False
        return [*turns, *keep]

"""Progress for people at a terminal and for people who read the log afterwards."""

import logging
import sys
import time

from tqdm import tqdm

log = logging.getLogger(__name__)


class Progress:
    """A bar on a terminal; elsewhere a plain line now and then, with the time still to go."""

    def __init__(self, name: str, total: int, done: int = 0, seconds_between: float = 15.0) -> None:
        self.name = name
        self.total = total
        self.seconds_between = seconds_between
        self.first, self.began = done, time.monotonic()
        self.spoke = self.began
        self.bar = (
            tqdm(desc=name, total=total, initial=done, unit="step", dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )

    def update(self, done: int, text: str = "") -> None:
        """``done`` steps of the total are finished; ``text`` is a short state such as the loss."""
        if self.bar is not None:
            self.bar.n = done
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(0)
            return
        now = time.monotonic()
        if now - self.spoke >= self.seconds_between or done == self.total:
            self.spoke = now
            seconds = (now - self.began) / max(done - self.first, 1) * (self.total - done)
            left = f"{seconds / 60:.1f} min to go" if done < self.total else "done"
            log.info("%s: step %d of %d, %s, %s", self.name, done, self.total, text, left)

    def close(self) -> None:
        """End the bar's line."""
        if self.bar is not None:
            self.bar.close()

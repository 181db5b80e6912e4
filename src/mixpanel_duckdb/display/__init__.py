"""Progress for whoever is there: the command and ``fetch_profiles(progress=...)`` draw with the same parts.

==========  ==================================================================================
``screen``  standard error as one line that is redrawn and lines that stay
``tally``   the numbers: pages, rows, rate, time left, the wait that holds the run
``bars``    the numbers drawn: a bar on a terminal, a line now and then in a log
``tqdm``    the same bar drawn by tqdm, a widget in notebooks
``choice``  what ``progress=...`` asks for
==========  ==================================================================================
"""

from .bars import Bar, Heartbeat, bar_line
from .choice import Progress, progress_display
from .screen import Screen
from .tally import Tally

__all__ = ["Bar", "Heartbeat", "Progress", "Screen", "Tally", "bar_line", "progress_display"]

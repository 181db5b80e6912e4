"""Progress for whoever is there: the command and ``fetch_profiles(progress=...)`` draw with the same parts.

==========  ==================================================================================
``screen``  standard error as one line that is redrawn and lines that stay
``tally``   the numbers: pages, rows, rate, time left, the wait that holds the run
``bars``    the numbers drawn: a bar on a terminal, a line now and then in a log
``log``     a run told to the log
``together``  several runs at once in one line
``tqdm``    the same bar drawn by tqdm, a widget in notebooks
``choice``  what ``progress=...`` asks for
==========  ==================================================================================
"""

from .bars import Bar, Heartbeat, bar_line
from .choice import Progress, progress_display
from .log import RunLog
from .screen import Screen
from .tally import Tally
from .together import Together

__all__ = ["Bar", "Heartbeat", "Progress", "RunLog", "Screen", "Tally", "Together", "bar_line", "progress_display"]

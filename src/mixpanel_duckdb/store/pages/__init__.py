"""A page becomes rows here: bodies parsed in memory, judged, and committed together with their journal.

Groups of page bodies come in; receipts go out, one for each page. Called by the writer's threads through
``ProfileStore.writer``.

============  ==================================================================
``ingest``    ``PageIngest``: a group staged, some groups committed
``stage``     bodies to rows in memory, counted and judged
``sql``       the statements that take bodies apart, and pieces of them that events need, too
============  ==================================================================
"""

from .ingest import PageIngest
from .sql import DEEP, has_odd_number, members_but
from .stage import PageReceipt, PageWrite, StagedGroup

__all__ = ["DEEP", "PageIngest", "PageReceipt", "PageWrite", "StagedGroup", "has_odd_number", "members_but"]

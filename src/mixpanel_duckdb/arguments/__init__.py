"""What callers pass, checked before anything is done: one rule for each name, in whichever call it stands.

The arguments of a public call come in; nothing goes out but the error that says in one sentence what was given and what
it must be. Called by every room that has public calls. Filters have rules of their own, in ``ProfileQuery``.

=============  ==============================================================
``kinds``      kinds of values: a flag, seconds, a name, something with methods
``tolerance``  a number of profiles, or a share
``rules``      which kind each argument is, and a default that several calls share
=============  ==============================================================
"""

from .kinds import PATH, refusal, whole
from .rules import REFRESH_DAYS, RESUME_MAX_AGE, RULES, check
from .tolerance import tolerates

__all__ = ["PATH", "REFRESH_DAYS", "RESUME_MAX_AGE", "RULES", "check", "refusal", "tolerates", "whole"]

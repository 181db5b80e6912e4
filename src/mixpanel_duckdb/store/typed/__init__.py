"""Typed columns: what a profiles table's properties are, and a view or table with a column for each.

=============  ==============================================================================
``kinds``      what one JSON value can be, told apart in SQL
``shape``      from counted kinds to a type that loses nothing
``infer``      counts the kinds of all values, a statement for each level of nesting
``proof``      nested structures of few rows, proven over all, which need no look inside
``naming``     property names to column names, event names to those of views
``extract``    the SQL that takes properties out of a row
``build``      checks, makes and swaps in the view or table
=============  ==============================================================================
"""

from .build import TypedProperty, TypedTable, event_views, make_typed, typed_name
from .kinds import Kind
from .shape import Shape

__all__ = ["Kind", "Shape", "TypedProperty", "TypedTable", "event_views", "make_typed", "typed_name"]

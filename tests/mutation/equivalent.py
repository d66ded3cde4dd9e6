"""Lines whose mutations change speed or memory and no result, each with the reason.

By file, then by a text of the line. What is listed here is not drawn.
"""

EQUIVALENT: dict[str, dict[str, str]] = {}

"""The report: one page, its plots as files, and the difference of two results.

Everything here is made of the JSON of ``fmzip measure`` alone (but for the map before and after, if
it is given), so that a report can be made again later, elsewhere, and of older results.

matplotlib and jinja2, of the extra ``report``, are imported when something is drawn.
"""

from fmzip.report.compare import Comparison, compare
from fmzip.report.page import html, write_html
from fmzip.report.pairs import MapPair
from fmzip.report.result import Result, load, parse

__all__ = ["Comparison", "MapPair", "Result", "compare", "html", "load", "parse", "write_html"]

"""The report's sections, a module each: every function here takes the records and returns a piece for report.ipynb."""

from lib.report.sections.cost import budget, networks
from lib.report.sections.decoders import decoders
from lib.report.sections.experiment import assumptions, datasets, protocol
from lib.report.sections.literature import published
from lib.report.sections.models import further, model
from lib.report.sections.opening import answer, findings, in_jupyterlab, title
from lib.report.sections.origin import provenance, self_test
from lib.report.sections.overview import all_runs, compare, data, scatter
from lib.report.sections.quiz import quiz
from lib.report.sections.scores import results
from lib.report.sections.verdicts import conclusion, verdicts

__all__ = ["all_runs", "answer", "assumptions", "budget", "compare", "conclusion", "data", "datasets", "decoders"]
__all__ += ["findings", "further", "in_jupyterlab", "model", "networks", "protocol", "provenance", "published", "quiz"]
__all__ += ["results", "scatter", "self_test", "title", "verdicts"]

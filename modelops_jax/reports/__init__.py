"""What a person reads after a run: one offline HTML page, and a table on the terminal."""

from ._evaluation import EvaluationReport as EvaluationReport
from ._examples import Example as Example
from ._examples import Examples as Examples
from ._examples import pick_examples as pick_examples
from ._facts import environment_facts as environment_facts
from ._facts import training_facts as training_facts
from ._html import write_html as write_html
from ._report import FineTuningReport as FineTuningReport
from ._score import Score as Score
from ._terminal import print_summary as print_summary

"""Looking at what ran: how long a piece of a program took, on which workers, and a picture of it.

``record`` measures a block and collects the tasks that ran in it; ``compare`` and ``verdict``
draw such runs on one time axis.  Every picture has the same facts as text.
"""

from paralab_profiling.compare import compare, verdict
from paralab_profiling.picture import Picture
from paralab_profiling.runs import Run, Slice, record

__all__ = ["Picture", "Run", "Slice", "compare", "record", "verdict"]

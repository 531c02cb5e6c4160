"""Python imports a module of this name before anything else: here it cuts off the network.

The tests and ``course.py render`` put this folder first on ``PYTHONPATH``; so the kernels of the notebooks, the workers
of a data loader and the command line are cut off as well.
"""

import cut_off  # noqa: F401  importing it is all

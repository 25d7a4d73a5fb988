"""One thread: the tensors here are small, and threads that wait for each other cost more than they bring."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported

"""Guardian: real-time moderation and privacy protection beside a video-call service."""

import os

__version__ = "0.1.0"

# onnxruntime reports usage to its maker and keeps a device id in the home folder unless this is set before it
# is loaded. Processes that are started from here inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Parallelism is one thread per stream, not per operator; numpy reads these when it is loaded.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

"""The small library of the notebooks: models, training loops, numbers and figures.

Importing it costs nothing; TensorFlow is imported by the modules that need it. What TensorFlow reads from the
environment at its own import is set here, before anything can import it.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever other projects of this user need
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its start-up notes would land in every notebook
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default without AVX-512, where it also helps
sys.modules.setdefault("rfc3987_syntax", None)  # jsonschema would import it for 0.7 s, to check addresses we never have

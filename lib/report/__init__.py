"""A study's report: records -> claims and effects -> sections -> page. Never imports TensorFlow."""

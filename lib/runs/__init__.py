"""The run folder: write it whole, read it, know whether it is complete and current. Never imports TensorFlow."""

from lib.runs.run import (
    Run,
    duration,
    finite,
    history_csv,
    read_checkpoint,
    read_history,
    read_result,
    read_samples,
    run_name,
    write_checkpoint,
    write_result,
)

__all__ = ["Run", "duration", "finite", "history_csv", "read_checkpoint", "read_history", "read_result"]
__all__ += ["read_samples", "run_name", "write_checkpoint", "write_result"]

"""Datasets: images uint8 [N, H, W, C], C = 1 or 3, from 0 to 255, which stay so in memory; labels int64 [N]."""

from lib.data.dataset import Dataset
from lib.data.download import SOURCES, fetch, folder
from lib.data.named import BUILT_IN, DATASETS, class_count, fingerprint, header, is_path, listing, load, verify
from lib.data.npz import ARRAYS
from lib.data.packing import command, pack

__all__ = ["ARRAYS", "BUILT_IN", "DATASETS", "SOURCES", "Dataset", "command", "fetch", "fingerprint", "folder"]
__all__ += ["class_count", "header", "is_path", "listing", "load", "pack", "verify"]

"""Datasets: images uint8 [N, H, W, C], C = 1 or 3, from 0 to 255, which stay so in memory; labels int64 [N]."""

from lib.data.dataset import BUILT_IN, DATASETS, Dataset, fingerprint, header, listing, load, verify
from lib.data.download import SOURCES, fetch, folder
from lib.data.npz import ARRAYS

__all__ = ["ARRAYS", "BUILT_IN", "DATASETS", "SOURCES", "Dataset", "fetch", "fingerprint", "folder", "header"]
__all__ += ["listing", "load", "verify"]

"""Media types of what comes and goes."""

from typing import Final

MULTIPART: Final = "multipart/form-data"
NPY: Final = "application/x-npy"
JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"

#: Bodies that are one image; which kind it really is its content says.
RAW: Final = ("image/png", "image/jpeg", "image/tiff", "application/dicom")

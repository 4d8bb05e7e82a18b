"""What the Open Inference Protocol, version 2, says and is told, as JSON."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

#: What the champion is called.
NAME: Final = "evenscan"

#: Tensors may follow the JSON as bytes, see :mod:`service.inference.tensor_bodies`.
EXTENSIONS: Final = ("binary_tensor_data",)

Datatype = Literal["UINT8", "FP32", "BYTES"]


class Server(BaseModel):
    """What answers."""

    name: str = NAME
    version: str
    extensions: list[str] = list(EXTENSIONS)


class TensorMetadata(BaseModel):
    """One input or output of a model."""

    name: str
    datatype: Datatype
    shape: list[int] = Field(description="-1 is the batch.")


class Limits(BaseModel):
    """What one request may bring."""

    max_images: int = Field(description="Images in one request.")
    max_bytes: int = Field(description="Bytes of its body.")
    max_waiting: int = Field(description="Images that may wait for the model, of all requests.")
    best_batch: int = Field(description="Images that the model runs at once, at most.")


class ModelMetadata(BaseModel):
    """A model, as clients find out what to send."""

    name: str
    versions: list[str]
    platform: str = "onnxruntime_onnx"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, Any] = Field(
        description="Limits, classes, threshold, what the audit of the version says of groups, "
        "and how 'farther' is to be read."
    )


class ModelReady(BaseModel):
    """Whether it can answer."""

    name: str
    ready: bool = True


class RequestInput(BaseModel):
    """One tensor of a request."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    shape: list[int] = Field(min_length=1, max_length=6)
    datatype: Datatype
    parameters: dict[str, Any] = Field(
        default={}, description="'binary_data_size': bytes of the tensor after the JSON."
    )
    data: list[Any] | None = Field(
        default=None, description="The tensor. Left out if it follows the JSON as bytes."
    )


class RequestOutput(BaseModel):
    """An output that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    parameters: dict[str, Any] = Field(
        default={}, description="'binary_data': whether it shall follow the JSON as bytes."
    )


class InferenceRequest(BaseModel):
    """Images as numbers, or as files (datatype BYTES), which are base64 in JSON."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default="", max_length=200)
    parameters: dict[str, Any] = Field(
        default={},
        description="'binary_data_output': whether outputs that do not say it themselves shall "
        "follow the JSON as bytes.",
    )
    inputs: list[RequestInput] = Field(min_length=1, max_length=1)
    outputs: list[RequestOutput] = []


class ResponseOutput(BaseModel):
    """One output, row by row."""

    name: str
    shape: list[int]
    datatype: Datatype
    parameters: dict[str, int] = Field(
        default={}, description="'binary_data_size': bytes of the tensor after the JSON."
    )
    data: list[float] | list[str] | None = Field(
        default=None, description="Left out if the tensor follows the JSON as bytes."
    )


class InferenceAnswer(BaseModel):
    """Outputs, rows in the order of the images."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseOutput]

"""Frozen, typed settings that refuse unknown keys, and how they are read from TOML."""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from evaluation.errors import Fault, InputError

#: A float whose NaN is written to JSON as null and read back as NaN.
Number = Annotated[float, BeforeValidator(lambda v: float("nan") if v is None else v)]


class Settings(BaseModel):
    """Base of everything that is configured or stored: frozen, typed, no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    @classmethod
    def parse(cls, values: dict[str, Any], where: str) -> Self:
        """Build from plain values.

        Args:
            values: Keys and values as read from TOML or JSON.
            where: Name of their source, for the message.

        Raises:
            InputError: A key is unknown or missing, or a value is out of range; one fault each.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(*faults_of(error, where, cls)) from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file.

        Raises:
            InputError: The file is missing, is not TOML or does not fit.
        """
        return cls.parse(read_toml(path), str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: The file is missing or is not TOML.
    """
    try:
        return parse_toml(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise InputError(Fault(str(path), "no such file", "Check the path.")) from None
    except OSError as error:
        found = f"not readable: {error.strerror}"
        raise InputError(Fault(str(path), found, "Check the path.")) from None


def parse_toml(content: bytes, where: str) -> dict[str, Any]:
    """What a TOML text says; a byte order mark is passed over.

    Raises:
        InputError: It is not TOML, or nested too deeply to be any settings.
    """
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        found = f"not readable as TOML: {error}"
        raise InputError(Fault(where, found, "Correct the file.")) from None


def faults_of(error: ValidationError, where: str, model: type[BaseModel]) -> list[Fault]:
    """One fault for each complaint of pydantic, with the nearest key for an unknown one."""
    faults: list[Fault] = []
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"])
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            faults.extend(cause.faults)
        elif item["type"] == "extra_forbidden":
            near = get_close_matches(str(item["loc"][-1]), _keys(model, item["loc"]), n=1)
            remedy = f"Did you mean '{near[0]}'?" if near else "Remove it."
            faults.append(Fault(where, f"unknown key '{key}'", remedy))
        elif item["type"] == "missing":
            faults.append(Fault(where, f"'{key}' is missing", "Add it."))
        else:
            message = item["msg"].removeprefix("Value error, ")
            # A whole table says less than the complaint about it.
            hidden = _secret(model, key) or isinstance(item["input"], dict)
            shown = " does not fit" if hidden else f" is {item['input']!r:.80}"
            found = f"'{key}'{shown}" if key else "it does not fit"
            faults.append(Fault(where, found, f"{message}."))
    return faults


def _keys(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys that are known where a complaint points to."""
    known: type[BaseModel] | None = model
    for part in place[:-1]:
        if isinstance(part, str) and known is not None and part in known.model_fields:
            known = _model_in(known.model_fields[part].annotation)
    return list(known.model_fields) if known is not None else []


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The settings class of a field that holds one, or several of one kind."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((each for each in found if each is not None), None)


def _secret(model: type[BaseModel], key: str) -> bool:
    field = model.model_fields.get(key)
    return field is not None and "SecretStr" in str(field.annotation)

"""What every block of the configuration has in common: strict values, no unknown keys."""

from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


def _nothing_set(value: Any) -> Any:
    """A block whose keys are all commented out is an empty one."""
    return {} if value is None else value


Unset = BeforeValidator(_nothing_set)


class Block(BaseModel):
    """Keys that belong together. Values are checked strictly: no text for numbers, no unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_block(cls, value: Any) -> Any:
        return _nothing_set(value)

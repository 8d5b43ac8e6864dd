import importlib.util
import sys
from pathlib import Path

import pytest

_PATH = Path(__file__).with_name("made_records.py")


def load():
    """Return the module of made-up records; the same one for all tests."""
    name = "valise_made_records"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _PATH)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def made():
    return load()


@pytest.fixture
def maker(made):
    return made.Maker()

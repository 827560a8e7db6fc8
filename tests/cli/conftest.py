import pytest

from tests.command_line import COMPLETION, Cli, Toy, served_toy


@pytest.fixture
def cli(tmp_path):
    return Cli(tmp_path)


@pytest.fixture
def toy():
    """Lies about everything: it never streams, never calls, and its choices have no integer index."""
    with served_toy(Toy(dict(COMPLETION))) as served:
        yield served

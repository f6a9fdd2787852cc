"""Who may come in, and how many at once."""

import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from tornado.web import HTTPError
from traitlets.config.loader import PyFileConfigLoader

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long
VISITORS = 3
PATIENCE = 600  # seconds; a few on a quiet machine


@pytest.fixture(scope="module")
def settings():
    return PyFileConfigLoader("voila.py", path=str(ROOT / "demo")).load_config()


def test_it_listens_on_loopback_and_gives_away_no_file(settings):
    assert settings.Voila.ip == "127.0.0.1"
    assert settings.VoilaConfiguration.file_allowlist == []
    assert settings.VoilaConfiguration.show_tracebacks is False


def test_kernels_that_nobody_uses_are_ended(settings):
    assert 0 < settings.MappingKernelManager.cull_idle_timeout <= 900
    assert settings.MappingKernelManager.cull_connected is True


@pytest.mark.parametrize(("running", "welcome"), [(0, True), (23, True), (24, False), (100, False)])
def test_a_visitor_too_many_is_refused_with_words(settings, running, welcome):
    request = SimpleNamespace(kernel_manager=SimpleNamespace(list_kernel_ids=lambda: ["id"] * running))
    enter = settings.VoilaConfiguration.prelaunch_hook
    if welcome:
        enter(request, None, "")
        return
    with pytest.raises(HTTPError, match="come back in a few minutes") as refusal:
        enter(request, None, "")
    assert refusal.value.status_code == 503


@pytest.mark.timeout(2 * PATIENCE)
def test_several_visitors_at_once_have_a_kernel_each(url):
    with ThreadPoolExecutor(VISITORS) as visitors:
        pages = list(visitors.map(_visit, [url] * VISITORS))
    assert all("application/vnd.jupyter.widget-view+json" in page for page in pages)
    kernels = {re.search(r'"kernelId": *"([^"]+)"', page)[1] for page in pages}
    assert len(kernels) == VISITORS


def test_it_listens_on_one_address_only(url, can_connect):
    port = urlsplit(url).port
    assert can_connect("127.0.0.1", port)
    assert not can_connect("127.0.0.2", port)  # as it could if it listened on all


def _visit(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")  # nothing from elsewhere
        return answer.read().decode()

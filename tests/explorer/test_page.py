"""A person with a browser: the page in a real headless Chromium, at a desk and on a telephone."""

import re
import shutil

import numpy as np
import pytest

from metauas.explorer import uploads

playwright = pytest.importorskip("playwright.sync_api")
PATIENCE = 300  # seconds; few on a quiet machine
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.timeout(2 * PATIENCE),
]
# code must not reach the kernel; what runs it anyway would leave a file
INTRUSION = """async (code) => {
  const { kernelId, baseUrl } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  const socket = new WebSocket(`ws://${location.host}${baseUrl}api/kernels/${kernelId}/channels`);
  await new Promise((opened) => (socket.onopen = opened));
  const header = { msg_id: "1", session: "1", username: "", msg_type: "execute_request", version: "5.3" };
  const content = { code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false };
  socket.send(JSON.stringify({ header, content, parent_header: {}, metadata: {}, channel: "shell", buffers: [] }));
  await new Promise((later) => setTimeout(later, 1500));
  socket.close();
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser, url):
    """The page, once it shows a verdict; what it loads from elsewhere is refused and noted."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(1000 * PATIENCE)
    page.foreign = []
    page.route(
        lambda address: not address.startswith((url, "blob:", "data:", url.replace("http", "ws"))),
        lambda route: (page.foreign.append(route.request.url), route.abort()),
    )
    page.goto(url, wait_until="commit")
    page.get_by_role("status").wait_for()
    return page


def test_every_picture_has_a_text_alternative(page):
    alternatives = [image.get_attribute("alt") for image in page.locator("figure img").all()]
    assert len(alternatives) == 4
    assert all(alternatives)


def test_two_pictures_are_uploaded_and_a_map_appears(page, picture, as_file):
    before = _picture(page, "Anomaly map").get_attribute("src")
    for number, label in enumerate(("Your own prompt", "Your own query")):
        data = as_file(np.roll(picture, number))
        page.get_by_label(label).set_input_files([{"name": "a.png", "mimeType": "image/png", "buffer": data}])
        playwright.expect(_picture(page, "Anomaly map")).not_to_have_attribute("src", before)
        before = _picture(page, "Anomaly map").get_attribute("src")
    assert _picture(page, "Anomaly map").evaluate("image => image.decode().then(() => image.naturalWidth)") == 480
    assert _picture(page, "Query").evaluate("image => image.naturalHeight") == 320  # as 60 × 40


def test_the_threshold_moves_by_keyboard(page):
    slider = page.get_by_role("slider", name="Threshold")
    slider.press("End")
    playwright.expect(page.get_by_role("status")).to_have_text(re.compile(r"^OK: score .* ≤ threshold 1\.00$"))
    slider.press("Home")
    playwright.expect(page.get_by_role("status")).to_have_text(re.compile(r"^DEFECTIVE: score .* > threshold 0\.00$"))


def test_a_point_is_clicked_and_moved_by_keyboard(page):
    query = _picture(page, "Query")
    box = query.bounding_box()
    query.click(position={"x": 0.25 * box["width"], "y": 0.75 * box["height"]})
    prompt = _picture(page, "Prompt")
    playwright.expect(prompt).to_have_attribute("alt", re.compile(r"^Prompt: the point 25% from the left and 75%"))
    page.get_by_role("slider", name="Point from the left").press("ArrowRight")
    playwright.expect(prompt).to_have_attribute("alt", re.compile(r"^Prompt: the point 26% from the left and 75%"))


def test_turning_the_prompt_and_another_alignment_change_the_map(page):
    for change in (
        lambda: page.get_by_role("slider", name="Turn the prompt").press("PageUp"),
        lambda: page.get_by_label("Alignment").select_option("hard"),
    ):
        before = _picture(page, "Anomaly map").get_attribute("src")
        change()
        playwright.expect(_picture(page, "Anomaly map")).not_to_have_attribute("src", before)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"no picture", "cannot be read as a picture"), (b"\0" * (uploads.MAX_BYTES + 1), "is too large")],
    ids=["malformed", "too large"],
)
def test_a_bad_upload_is_explained_and_the_page_lives_on(page, data, words):
    page.get_by_label("Your own query").set_input_files([{"name": "bad.png", "mimeType": "image/png", "buffer": data}])
    playwright.expect(page.get_by_role("alert").filter(has_text=words)).to_be_visible()
    before = page.get_by_role("status").text_content()
    page.get_by_role("slider", name="Threshold").press("ArrowRight")
    playwright.expect(page.get_by_role("status")).not_to_have_text(before)


def test_it_fits_a_telephone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for control in page.get_by_role("slider").all():
        box = control.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_nothing_is_loaded_from_elsewhere(page):
    assert page.foreign == []


def test_a_page_cannot_run_code(page, tmp_path):
    trace = tmp_path / "trace"
    page.evaluate(INTRUSION, f"open({str(trace)!r}, 'w').close()")
    before = page.get_by_role("status").text_content()
    page.get_by_role("slider", name="Threshold").press("ArrowRight")  # handled after whatever was sent before it
    playwright.expect(page.get_by_role("status")).not_to_have_text(before)
    assert not trace.exists()


def _picture(page, title):
    return page.locator("figure", has=page.locator("figcaption", has_text=title)).locator("img")

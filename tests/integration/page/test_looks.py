"""The page for everybody: screen readers, phones, dark rooms, and a library with 10,000 tasks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from browserkit import Visit, visiting
from clients import CLIENTS
from clikit import ARTIST, FLAC, MP3, copy_album
from musictasks.music import MusicEngine
from serverkit import TOKEN, Served, served_library

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
VIEWS = ("add", "tasks", "machine", "scan")
WATCH_FRAMES = """() => {
    window.longestFrameMs = 0;
    let last = performance.now();
    const mine = window.watch = (window.watch ?? 0) + 1;
    requestAnimationFrame(function step(now) {
        window.longestFrameMs = Math.max(window.longestFrameMs, now - last);
        last = now;
        if (window.watch === mine) requestAnimationFrame(step);
    });
}"""

#: The inputs whose placeholder is wider than they are.
CUT_OFF = """(inputs) => inputs.filter((input) => {
    const style = getComputedStyle(input);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = style.font;
    const room = input.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return pen.measureText(input.placeholder).width > room;
}).map((input) => input.id)"""


def shot(visit: Visit, name: str) -> None:
    """A picture for people, where they ask for it."""
    place = os.environ.get("MUSICTASKS_SCREENSHOTS")
    if place:
        visit.page.screenshot(path=Path(place) / f"{name}.png")


def fill(engine: MusicEngine, number: int) -> None:
    """Tasks that wait for their files."""
    for i in range(number):
        engine.begin_upload(
            content_type="albumfile", file_size=1000 + i, source_filename=f"{i:05}.flac"
        )


def some_of_each(visit: Visit, served: Served, folder: Path) -> None:
    """An album to add, a song that failed, one that waits for its place, one that is done."""
    album = copy_album(folder / "My Album")
    bad = copy_album(folder / "bad", FLAC) / FLAC
    bad.write_bytes(bad.read_bytes()[:5000])
    visit.add(bad)
    visit.press("Bring it in")
    visit.wait_for_phase("failed")
    visit.add(album)
    visit.page.wait_for_selector("text=Goes to")
    fill(served.engine, 3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(browser: Any, served: Served, tmp_path: Path, scheme: str) -> None:
    """axe-core finds nothing serious in any view, in either scheme, with things in it."""
    script = CLIENTS / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.skip("axe-core is not installed: make clients")
    axe = script.read_text("utf-8")
    options: Any = {"color_scheme": scheme, "bypass_csp": True}
    with visiting(browser, served.url, **options) as visit:
        visit.open()
        some_of_each(visit, served, tmp_path)
        for view in VIEWS:
            visit.show(view)
            if view == "tasks":
                visit.page.locator("button.task").first.click()
            visit.page.evaluate(axe)
            found = visit.page.evaluate("() => axe.run(document)")
            serious = [
                f"{one['id']}: {one['help']} {[node['html'][:120] for node in one['nodes'][:3]]}"
                for one in found["violations"]
                if one["impact"] in {"serious", "critical"}
            ]
            assert serious == [], (view, serious)


@pytest.mark.parametrize("name", ["desktop", "desktop dark", "phone", "phone dark"])
def test_it_fits(browser: Any, served: Served, tmp_path: Path, name: str) -> None:
    """Nothing is wider than the window, on any screen."""
    options: Any = dict(PHONE) if "phone" in name else {}
    options["color_scheme"] = "dark" if "dark" in name else "light"
    with visiting(browser, served.url, **options) as visit:
        visit.open()
        shot(visit, f"{name} empty")
        some_of_each(visit, served, tmp_path)
        for view in VIEWS:
            visit.show(view)
            if view == "tasks":
                visit.page.locator("button.task").first.click()
            shot(visit, f"{name} {view}")
            wide = visit.page.evaluate("() => document.documentElement.scrollWidth")
            assert wide <= visit.page.evaluate("() => window.innerWidth"), view


def test_fields_stand_in_a_row(browser: Any, served: Served, tmp_path: Path) -> None:
    """With their labels, on a desk; and nothing that is written in them is cut off."""
    song = copy_album(tmp_path / "bad", FLAC) / FLAC
    song.write_bytes(bytes(5000))
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(song)
        visit.page.wait_for_selector(".fields input")
        for part in ("label", "input"):
            tops = "(all) => all.map((one) => Math.round(one.getBoundingClientRect().top))"
            found = visit.page.eval_on_selector_all(f".fields {part}", tops)
            assert len(found) == 5
            assert len(set(found)) == 1, part
        assert visit.page.eval_on_selector_all(".fields input", CUT_OFF) == []


def test_the_views_are_all_to_be_seen(browser: Any, served: Served) -> None:
    """On the narrowest phone, also with many tasks."""
    fill(served.engine, 100)
    with visiting(browser, served.url, viewport={"width": 360, "height": 740}) as visit:
        visit.open()
        visit.page.wait_for_selector('#task-count:text-is("100")')
        shot(visit, "narrow")
        nav = visit.page.locator("nav")
        assert nav.evaluate("(nav) => nav.scrollWidth - nav.clientWidth") == 0
        assert nav.evaluate("(nav) => nav.clientHeight") < 50


def test_an_option_is_in_one_line(browser: Any, tmp_path: Path) -> None:
    """The login form says how the token was chosen, and breaks no option."""
    with (
        served_library(tmp_path / "library", token=TOKEN) as served,
        visiting(browser, served.url) as visit,
    ):
        visit.page.goto(served.url)
        visit.page.wait_for_selector("code")
        rows = "(all) => all.map((one) => one.getClientRects().length)"
        assert visit.page.eval_on_selector_all("code", rows) == [1, 1]


def test_by_keyboard(browser: Any, served: Served) -> None:
    """Tab leads through the views and the machine's states; Enter does what a click does."""
    fill(served.engine, 1)
    with visiting(browser, served.url) as visit:
        visit.open("machine")
        visit.page.locator('g.node[data-state="waitforchunk"]').focus()
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector("#view-tasks:not([hidden])")
        assert visit.page.input_value("#task-state") == "waitforchunk"
        # What was pressed is out of sight; Tab goes on in what is shown.
        assert visit.page.evaluate("document.activeElement.id") == "content"
        visit.page.locator("button.task").focus()
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector(".detail:not([hidden])")


def test_skipping_to_the_content(browser: Any, served: Served) -> None:
    """The view stays, whichever it is."""
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        visit.page.keyboard.press("Tab")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_function("() => document.activeElement.id === 'content'")
        visit.page.wait_for_timeout(100)
        assert visit.page.is_visible("#view-tasks")
        assert visit.page.url.endswith("#tasks")


def test_escape_closes_a_task(browser: Any, served: Served) -> None:
    """The focus is where it was before; a search that is written is cleared first."""
    fill(served.engine, 2)
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        row = visit.page.locator("button.task").first
        row.focus()
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector(".detail:not([hidden])")
        visit.page.fill("#task-search", "0000")
        visit.page.keyboard.press("Escape")
        assert visit.page.is_visible(".detail")
        visit.page.locator(".detail").focus()
        visit.page.keyboard.press("Escape")
        visit.page.locator(".detail").wait_for(state="hidden")
        visit.page.wait_for_function(
            "() => document.activeElement === document.querySelector('button.task')"
        )


def test_the_focus_stays_when_tasks_come(browser: Any, served: Served, tmp_path: Path) -> None:
    """In the row of the list, and in what a person writes of an upload that waits."""
    song = (copy_album(tmp_path / "waits", FLAC) / FLAC).read_bytes()
    engine = served.engine
    task = engine.begin_upload(content_type="albumfile", file_size=len(song), source_filename=FLAC)
    engine.receive_chunk(task.id, song)
    engine.wait(task.id, "readyforintegration", 30)
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        visit.page.locator("button.task").focus()
        fill(engine, 1)
        visit.page.wait_for_selector("text=2 tasks")
        assert FLAC in visit.page.evaluate("document.activeElement.textContent")
        visit.show("add")
        visit.page.locator(".target .album input").focus()
        fill(engine, 1)
        visit.page.wait_for_selector(".items .item:nth-child(3)")
        assert visit.page.evaluate("document.activeElement.id").endswith("-album")


def test_the_focus_stays_with_what_is_added(browser: Any, served: Served, tmp_path: Path) -> None:
    """On the card whose button is gone, and near the card that is closed."""
    songs = copy_album(tmp_path / "two", FLAC, MP3)
    with visiting(browser, served.url) as visit:
        visit.open()
        visit.add(songs / FLAC)
        visit.wait_for_phase("ready")
        visit.page.get_by_role("button", name="Bring it in").focus()
        visit.page.keyboard.press("Enter")
        visit.wait_for_phase("done")
        assert visit.page.evaluate("document.activeElement.dataset.phase") == "done"
        visit.add(songs / MP3)
        visit.wait_for_phase("ready")
        visit.page.get_by_role("button", name="Close").focus()
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_function("() => document.querySelectorAll('.item').length === 1")
        assert visit.page.evaluate("document.activeElement.dataset.phase") == "ready"
        visit.page.get_by_role("button", name="Leave it out").focus()
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_function("() => document.activeElement.id === 'pick-files'")


def test_news_of_a_task_that_is_looked_at(browser: Any, served: Served, tmp_path: Path) -> None:
    """A question waits for its answer, and what is written stays, while the task has news."""
    song = (copy_album(tmp_path / "waits", FLAC) / FLAC).read_bytes()
    engine = served.engine
    task = engine.begin_upload(content_type="albumfile", file_size=len(song), source_filename=FLAC)
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        visit.page.click("button.task")
        visit.page.click(".detail .danger")
        engine.receive_chunk(task.id, song[:1000])
        visit.page.wait_for_selector(f".detail >> text={100 * 1000 // len(song)} %")
        assert visit.page.evaluate("document.activeElement.textContent") == "Keep it"
        visit.press("Keep it")
        engine.receive_chunk(task.id, song[1000:])
        visit.page.fill(".detail .album input", "Elsewhere")
        engine.annotate(task.id, {"source": "another name"})
        visit.page.wait_for_selector(".detail h2 >> text=another name")
        assert visit.page.input_value(".detail .album input") == "Elsewhere"
        visit.page.locator(".detail .quiet").focus()
        engine.annotate(task.id, {"mood": "calm"})
        visit.page.wait_for_timeout(300)
        label = "document.activeElement.ariaLabel"
        assert visit.page.evaluate(label) == "Close the task"


def test_a_task_far_down_a_phone(browser: Any, served: Served) -> None:
    """What is shown of it stands above the list, and comes into sight below the header."""
    fill(served.engine, 60)
    with visiting(browser, served.url, **PHONE) as visit:
        visit.open("tasks")
        row = visit.page.locator("button.task").nth(50)
        row.scroll_into_view_if_needed()
        row.tap()
        visit.page.wait_for_selector(".detail:not([hidden])")
        heading = visit.page.locator(".detail h2").bounding_box()
        header = visit.page.locator("header").bounding_box()
        assert heading is not None
        assert header is not None
        assert header["y"] + header["height"] <= heading["y"] <= 844


def test_the_way_of_a_task_that_goes_on(browser: Any, served: Served) -> None:
    """Its list of changes stays open, with the focus; another task's begins closed."""
    engine = served.engine
    task = engine.begin_upload(content_type="albumfile", file_size=100, source_filename="a.flac")
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        visit.page.click("button.task")
        visit.show("machine")
        visit.page.click(".walked summary")
        engine.annotate(task.id, {"source": "another name"})
        visit.page.wait_for_selector(".walked h2 >> text=another name")
        assert visit.page.is_visible(".walked .history")
        assert visit.page.evaluate("document.activeElement.tagName") == "SUMMARY"
        fill(engine, 1)
        visit.show("tasks")
        visit.page.locator("button.task").first.click()
        visit.show("machine")
        visit.page.wait_for_selector(".walked h2 >> text=00000.flac")
        assert not visit.page.is_visible(".walked .history")


def test_a_view_begins_at_its_beginning(browser: Any, served: Served) -> None:
    """However far down the one before was looked at."""
    fill(served.engine, 60)
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        visit.page.locator("button.task").last.scroll_into_view_if_needed()
        assert visit.page.evaluate("scrollY") > 0
        visit.show("machine")
        assert visit.page.evaluate("scrollY") == 0


def test_a_state_without_tasks(browser: Any, served: Served) -> None:
    """No task of another state is beside the empty list, and all can be seen again."""
    fill(served.engine, 2)
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        assert not visit.page.is_visible("text=Show all")
        visit.page.locator("button.task").first.click()
        visit.page.wait_for_selector(".detail:not([hidden])")
        visit.show("machine")
        visit.page.locator('g.node[data-state="importcomplete"]').click()
        visit.page.wait_for_selector("text=0 of 2 tasks")
        assert not visit.page.is_visible(".detail")
        shot(visit, "no tasks")
        visit.press("Show all")
        visit.page.wait_for_selector("text=2 tasks")
        assert visit.page.locator("button.task").count() == 2
        assert not visit.page.is_visible("text=Show all")


def test_buttons_begin_with_a_capital(browser: Any, served: Served) -> None:
    """Those of a task as all others."""
    task = served.engine.begin_upload(
        content_type="albumfile", file_size=3, source_filename="a.pdf"
    )
    served.engine.receive_chunk(task.id, b"one")
    served.engine.wait(task.id, "readyforintegration", 30)
    place = served.engine.settings.music / ARTIST / "2020 - X"
    place.mkdir(parents=True)
    (place / "a.pdf").write_bytes(b"other")
    served.engine.integrate(task.id, f"{ARTIST}/2020 - X/a.pdf")
    served.engine.wait(task.id, "integrationfailed", 30)
    with visiting(browser, served.url) as visit:
        visit.open("tasks")
        visit.page.click("button.task")
        buttons = visit.page.locator(".detail .buttons button").all_inner_texts()
        assert sorted(buttons) == ["Remove", "Retry"]


@pytest.mark.long
def test_many_tasks(browser: Any, tmp_path: Path) -> None:
    """10,000 tasks: dots are numbers, the list shows some, and the page answers at once."""
    with served_library(tmp_path / "library") as served:
        fill(served.engine, 10_000)
        with visiting(browser, served.url) as visit:
            visit.open("machine")
            name = "waitforchunk: 10,000 tasks"
            visit.page.get_by_role("button", name=name).wait_for()
            assert visit.page.locator("circle.dot").count() == 0
            shot(visit, "many machine")
            visit.show("tasks")
            assert visit.page.locator("button.task").count() == 200
            shot(visit, "many tasks")
            visit.page.fill("#task-search", "09999.flac")
            visit.page.wait_for_function(
                "() => document.querySelectorAll('button.task').length === 1"
            )
            left = 10_000
            for view in ("add", "tasks", "machine"):
                visit.show(view)
                visit.page.evaluate(WATCH_FRAMES)
                for task in served.engine.tasks()[:300]:
                    served.engine.remove(task.id)
                left -= 300
                visit.page.wait_for_selector(f'#task-count:text-is("{left:,}")')
                # A tenth of it on an idle machine; without care it was 10 s.
                assert visit.page.evaluate("() => window.longestFrameMs") < 2000, view
            visit.page.get_by_role("button", name="waitforchunk: 9,100 tasks").wait_for()

"""Forms and JSON objects: what cannot be is refused, whoever sends it."""

from __future__ import annotations

import pytest
from musictasks.server import bodies
from rawhttp import Tus, head

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(("fields", "status"), [(100, 303), (101, 400)])
def test_a_form_has_only_so_many_fields(guarded, fields, status):
    """And more are no error of the server's own, of which its log would tell."""
    with guarded.client() as client:
        answer = client.post("/login", content="&".join(["a=b"] * fields), headers=FORM)
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["type"] == "BadForm"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/login", "application/x-www-form-urlencoded"), ("/api/scans", "application/json")],
)
def test_a_body_that_comes_byte_by_byte_is_cut_off(served, monkeypatch, path, kind):
    """None of the pauses is too long, but all of it is."""
    monkeypatch.setattr(bodies, "BODY_S", 0.3)
    with Tus(served.port).connection() as slow:
        slow.send(head("POST", path, {"Content-Type": kind}, 8000))
        sent = 0
        while sent < 400 and not slow.is_answered(0.05):
            slow.send(b" ")
            sent += 1
        answer = slow.answer()
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert b"BodyTooSlow" in answer.body

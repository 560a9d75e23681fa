"""Forms and JSON objects: what cannot be is refused, whoever sends it."""

from __future__ import annotations

import pytest

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(("fields", "status"), [(100, 303), (101, 400)])
def test_a_form_has_only_so_many_fields(guarded, fields, status):
    """And more are no error of the server's own, of which its log would tell."""
    with guarded.client() as client:
        answer = client.post("/login", content="&".join(["a=b"] * fields), headers=FORM)
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["type"] == "BadForm"

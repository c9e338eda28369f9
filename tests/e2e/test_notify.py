"""`smos notify` through the command line, with the sandbox's mail and WhatsApp."""

from __future__ import annotations

from support.instance import Instance

TEXT = "Mantención a las 23:00 {{ hostvars }} 💚"


def test_the_admin_is_told_on_every_way(shared_smos: Instance) -> None:
    foretold = shared_smos.run("notify", TEXT, "--check", "--json")
    assert foretold.code == 0
    assert {row["service"] for row in foretold.result["changes"]} == {"email", "whatsapp"}

    done = shared_smos.run("notify", TEXT, "--json")
    assert (done.code, done.result) == (0, {"channels": {"email": True, "whatsapp": True}})
    told = [str(each) for each in shared_smos.run("sandbox", "outbox", "--json").result["messages"]]
    assert sum(TEXT in each for each in told) == 2


def test_a_way_that_is_not_there_and_a_text_that_is_none_are_refused(shared_smos: Instance) -> None:
    assert shared_smos.run("notify", "hola", "--via", "pigeon", "--json").code == 2
    assert shared_smos.run("notify", "hola", "--via", "webhook", "--json").code == 3
    assert shared_smos.run("notify", " ", "--json").code == 2

"""Bot templates: ours are whole, hold their conversations, become archives that Botpress takes, and values stay values."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import botpress_archive, botpress_rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import botpress_templates as service

SPECS = Path(__file__).parents[4] / "specs" / "bots"
NAMES = ("ecommerce", "services")
RUT = "76086428-5"
VALUES = {"name": "Acme Corp", "domain": "acme.example.com", "currency": "CLP"}


def bot(template: str = "ecommerce", **values: str) -> service.Bot:
    loaded = service.load(str(SPECS), [template])[template]
    return service.render(loaded, RUT, "acme", {**VALUES, **values})


def parsed(made: service.Bot) -> dict[str, Any]:
    return {path: json.loads(raw) for path, raw in made.archive_files().items()}


def copied(folder: Path, template: str = "ecommerce") -> Path:
    for source in (SPECS / template).rglob("*.json"):
        target = folder / "mine" / source.relative_to(SPECS / template)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return folder / "mine"


def test_every_folder_is_one_of_the_known_templates() -> None:
    assert {path.name for path in SPECS.iterdir() if path.is_dir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_rendered_bot_keeps_all_rules_of_botpress(name: str) -> None:
    files = parsed(bot(name))
    assert botpress_rules.mistakes(files) == []
    assert "__SMOS_" not in json.dumps(files)
    config = files["bot.config.json"]
    assert (config["id"], config["defaultLanguage"], config["languages"]) == ("acme", "es", ["es"])
    assert config["converse"] == {"enableUnsecuredEndpoint": False}
    assert config["description"] == f"smarteros:{RUT} {name}"
    assert len(config["name"]) <= 50


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_has_the_layout_of_an_exported_bot(name: str) -> None:
    archive = botpress_archive.pack(bot(name).archive_files())
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        entries = tar.getmembers()
    paths = {entry.name for entry in entries}
    assert {"bot.config.json", "flows/main.flow.json", "flows/main.ui.json", "flows/error.flow.json"} <= paths
    assert {path.split("/")[0] for path in paths if "/" in path} == {"flows", "content-elements", "qna", "intents"}
    assert all(
        entry.isreg() and (entry.mode, entry.mtime, entry.uid, entry.uname) == (0o644, 0, 0, "") for entry in entries
    )
    for path in paths:
        if path.startswith("qna/"):
            assert f"intents/__qna__{Path(path).stem}.json" in paths
        if path.endswith(".flow.json"):
            assert path.replace(".flow.", ".ui.") in paths


def test_an_archive_is_the_same_bytes_whenever_it_is_made() -> None:
    made = bot().archive_files()
    backwards = dict(reversed(list(made.items())))
    assert (
        botpress_archive.pack(made) == botpress_archive.pack(backwards) == botpress_archive.pack(bot().archive_files())
    )
    assert botpress_archive.unpack(botpress_archive.pack(made)) == made


def talk(template: str, *messages: str) -> list[str]:
    """The ids of what the bot says: the flow is walked as Botpress' dialog engine does."""
    flow = parsed(bot(template))["flows/main.flow.json"]
    nodes = {node["name"]: node for node in flow["nodes"]}
    said: list[str] = []
    waiting = list(messages)
    current, text = flow["startNode"], waiting.pop(0)
    while current != "END":
        node = nodes[current]
        said += [step.split("-", 1)[1] for step in node["onEnter"] if step.startswith("say ")]
        if node["onReceive"] is not None:
            if not waiting:
                return said
            text = waiting.pop(0)
        current = next(each["node"] for each in node["next"] if holds(each["condition"], text))
    return [*said, "END"]


def holds(condition: str, text: str) -> bool:
    if condition == "true":
        return True
    found = re.fullmatch(r"/(.+)/i\.test\(event\.preview\)", condition)
    assert found, condition
    return bool(re.search(found.group(1), text, re.IGNORECASE))


@pytest.mark.parametrize(
    ("template", "message", "answer"),
    [
        ("ecommerce", "1", "pedido"),
        ("ecommerce", "¿Dónde está mi compra?", "pedido"),
        ("ecommerce", "¿Cuánto sale el envío a Ñuñoa?", "despacho"),
        ("ecommerce", "quiero una devolución", "cambios"),
        ("ecommerce", "4", "pagos"),
        ("ecommerce", "hablar con una persona por mi pedido", "persona"),
        ("ecommerce", "xyz", "no_entendido"),
        ("ecommerce", "menú", "menu"),
        ("ecommerce", "no, gracias", "despedida"),
        ("services", "2", "cotizacion"),
        ("services", "necesito un presupuesto", "cotizacion"),
        ("services", "quiero una hora para mañana", "hora"),
        ("services", "¿cuál es el horario?", "contacto"),
        ("services", "¿ahora atienden?", "no_entendido"),
        ("services", "5", "persona"),
    ],
)
def test_the_bot_answers_numbers_and_words(template: str, message: str, answer: str) -> None:
    assert talk(template, "hola")[:2] == ["bienvenida", "menu"]
    assert talk(template, "hola", message)[2] == answer


def test_a_talk_goes_on_after_an_answer_and_ends_with_a_person() -> None:
    assert talk("ecommerce", "hola", "1", "menú", "5") == [
        *("bienvenida", "menu", "pedido", "siguiente", "menu"),
        *("persona", "END"),
    ]
    flow = parsed(bot())["flows/main.flow.json"]
    person = next(node for node in flow["nodes"] if node["name"] == "persona")
    assert person["onEnter"][0] == 'builtin/setVariable {"type":"session","name":"derivar","value":"true"}'


def test_the_fingerprint_follows_the_content_and_nothing_else() -> None:
    assert bot().content == bot().content
    assert bot().content != bot(domain="other.example.com").content
    assert bot().content != bot(name="Other").content
    assert bot("services").content != bot().content
    assert bot().content == bot(timezone="America/Santiago").content  # no text speaks of it


@pytest.mark.parametrize(
    ("name", "slug", "shown"),
    [
        ("Acme", "acme", "Acme (acme)"),
        ("acme", "acme", "acme"),
        ("x" * 64, "a" * 32, f"{'x' * 15} ({'a' * 32})"),
        ("Ab Cd " * 10, "acme", "Ab Cd Ab Cd Ab Cd Ab Cd Ab Cd Ab Cd Ab Cd A (acme)"),
    ],
)
def test_a_name_is_the_one_that_an_import_will_give(name: str, slug: str, shown: str) -> None:
    assert service.shown_name(name, slug) == shown
    assert len(shown) <= 50


def test_quotes_and_letters_of_a_name_come_through() -> None:
    name = 'La "Ñandú" \\ Cía.'
    files = parsed(bot(name=name))
    assert files["bot.config.json"]["name"] == name
    assert name in json.dumps(files["content-elements/builtin_text.json"], ensure_ascii=False).replace(
        '\\"', '"'
    ).replace("\\\\", "\\")


@pytest.mark.parametrize("name", ["{{event.payload}}", "100% %APP_SECRET% pure"])
def test_a_value_that_botpress_would_run_is_refused(name: str) -> None:
    with pytest.raises(ApiError, match="placeholder of its own"):
        bot(name=name)


def test_a_value_that_is_missing_is_named() -> None:
    with pytest.raises(ApiError, match="needs domain"):
        bot(domain="")


@pytest.mark.parametrize("slug", ["ab", "-ab", "a b", "../x", "x" * 51, ""])
def test_an_id_that_botpress_does_not_take_is_refused(slug: str) -> None:
    template = service.load(str(SPECS), ["services"])["services"]
    with pytest.raises(ApiError, match="cannot be the id of a bot"):
        service.render(template, RUT, slug, VALUES)


BREAKS: dict[str, tuple[str, str | tuple[str, str]]] = {
    "an action": ("actions/x.js", "{}"),
    "a hook": ("hooks/before/x.json", "{}"),
    "an open converse": ("bot.config.json", ('"enableUnsecuredEndpoint": false', '"enableUnsecuredEndpoint": true')),
    "another language": ("bot.config.json", ('"defaultLanguage": "es"', '"defaultLanguage": "en"')),
    "a lost node": ("flows/main.flow.json", ('"node": "espera"', '"node": "nowhere"')),
    "a lost text": ("flows/main.flow.json", ("say #!builtin_text-menu", "say #!builtin_text-none")),
    "an unknown action": ("flows/error.flow.json", ("builtin/setVariable", "evil/run")),
    "a value in a flow": ("flows/main.flow.json", ('"version": "0.0.1"', '"version": "0.__SMOS_NAME__"')),
    "an unknown value": ("content-elements/builtin_text.json", ("__SMOS_NAME__", "__SMOS_PASSWORD__")),
    "a misspelt value": ("content-elements/builtin_text.json", ("__SMOS_NAME__", "__SMOS_name__")),
    "channel secrets": ("bot.config.json", ('"locked": false', '"locked": false, "messaging": {"channels": {"x": 1}}')),
    "no json": ("flows/main.flow.json", ('"version"', '"version')),
    "another shape": ("content-elements/builtin_text.json", "{}"),
    "a question under another name": ("qna/x.json", '{"id": "y", "data": {}}'),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_template_is_told_before_anything_is_sent(tmp_path: Path, what: str) -> None:
    path, change = BREAKS[what]
    file = copied(tmp_path) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(change, tuple):
        text = file.read_text()
        assert change[0] in text
        file.write_text(text.replace(*change))
    else:
        file.write_text(change)
    with pytest.raises(ApiError) as caught:
        service.load(str(tmp_path), ["mine"])
    assert "mine" in f"{caught.value.message} {caught.value.where}"


@pytest.mark.parametrize("name", ["nothing", "../ecommerce", "A", ""])
def test_a_template_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(ApiError, match="bot template"):
        service.load(str(SPECS), [name])


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def link() -> tarfile.TarInfo:
    entry = tarfile.TarInfo("link")
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return entry


@pytest.mark.parametrize(
    "archive",
    [b"", b"no archive", b"\x1f\x8b\x08", "text", None, tar((tarfile.TarInfo("../x"), b"x")), tar((link(), b""))],
    ids=["empty", "text", "cut", "str", "none", "path", "link"],
)
def test_what_is_no_archive_of_a_bot_is_one_clear_error(archive: Any) -> None:
    with pytest.raises(ApiError, match="archive"):
        botpress_archive.unpack(archive)


def test_an_archive_that_swells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botpress_archive, "MAX_SIZE", 1000)
    with pytest.raises(ApiError, match="archive"):
        botpress_archive.unpack(tar((tarfile.TarInfo("x"), b"0" * 5000)))

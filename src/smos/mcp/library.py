"""What can be read: documents, specs that describe the system, decisions. No tenant's file is among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SCHEME = "smos://"
RUNBOOKS = ("disaster-recovery", "troubleshooting", "rollback", "point-in-time", "howto", "backup")
LONGEST_PIECE = 20_000  # characters of a document in one answer


@dataclass(frozen=True)
class Page:
    """A document that can be read."""

    uri: str
    name: str
    title: str
    path: Path
    mime_type: str


@dataclass(frozen=True)
class Library:
    """The pages of one project."""

    root: Path
    specs: Path

    def pages(self) -> list[Page]:
        """All pages, runbooks first."""
        found = [_document(path) for path in sorted((self.root / "docs").glob("*.md"))]
        return sorted(found, key=lambda page: not page.uri.startswith(f"{SCHEME}runbooks/")) + self._specs()

    def page(self, uri: str) -> Page | None:
        """The page of this address: one of those that are listed, never a path of a caller's."""
        return next((page for page in self.pages() if page.uri == uri), None)

    def search(self, words: str, most: int) -> list[dict[str, object]]:
        """Sections that hold these words, those that hold most of them first."""
        wanted = [word for word in words.casefold().split() if len(word) > 1]
        hits: list[tuple[int, dict[str, object]]] = []
        for page in self.pages():
            for heading, text in _sections(page.path.read_text(encoding="utf-8")):
                folded = f"{heading} {text}".casefold()
                score = sum(10 + min(folded.count(word), 5) for word in wanted if word in folded)
                score += sum(5 for word in wanted if word in heading.casefold())
                if score:
                    hits.append((score, {"uri": page.uri, "heading": heading, "excerpt": text.strip()[:400]}))
        hits.sort(key=lambda hit: -hit[0])
        return [row for _score, row in hits[:most]]

    def _specs(self) -> list[Page]:
        named = (
            ("index", "index.yml"),
            ("services", "services/registry.yml"),
            ("plans", "tenants/registry.yml"),
            ("environments", "environments.yml"),
            ("versions", "smos-version.yml"),
            ("frontends", "frontends/registry.yml"),
            ("mcp-servers", "mcp/servers.yml"),
            ("decisions", "decision-tree.yml"),
        )
        files = [(name, self.specs / file) for name, file in named]
        return [
            Page(
                f"{SCHEME}decisions/all" if name == "decisions" else f"{SCHEME}specs/{name}",
                name,
                f"Specs: {path.name}",
                path,
                "application/yaml",
            )
            for name, path in files
            if path.is_file()
        ]


def _document(path: Path) -> Page:
    kind = "runbooks" if path.stem in RUNBOOKS else "docs"
    with path.open(encoding="utf-8") as file:
        title = file.readline().lstrip("# ").strip()
    return Page(f"{SCHEME}{kind}/{path.stem}", path.stem, title, path, "text/markdown")


def _sections(text: str) -> list[tuple[str, str]]:
    """(heading, text) of each part of a document."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        if line.startswith("#"):
            parts.append((line.lstrip("# "), []))
        else:
            parts[-1][1].append(line)
    return [(heading, "\n".join(lines)) for heading, lines in parts]

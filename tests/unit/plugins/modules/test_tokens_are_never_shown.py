"""At the highest verbosity and with --diff, a token stays out of the output, even when a provider repeats it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[4]
TOKEN = "planted-token-7f3a9c"
PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "smartercl.smarteros.cloudflare_dns_records": {
                    "url": "{{ url }}",
                    "token": "{{ token }}",
                    "zone": "example.com",
                    "records": [{"tenant": "1-9", "name": "a.example.com", "content": "b.example.com"}],
                },
                "ignore_errors": True,
            },
            {
                "smartercl.smarteros.n8n_workflows": {
                    "url": "{{ url }}",
                    "api_key": "{{ token }}",
                    "templates": str(ROOT / "specs" / "workflows"),
                    "workflows": [{"tenant": "1-9"}],
                },
                "ignore_errors": True,
            },
        ],
    }
]


class Parrot(BaseHTTPRequestHandler):
    """Refuses everything and repeats what it was sent."""

    def do_GET(self) -> None:
        heard = [self.headers.get("Authorization"), self.headers.get("X-N8N-API-KEY")]
        self.server.heard.append(heard)  # type: ignore[attr-defined]  # the test's own attribute
        body = json.dumps(
            {"message": f"I heard {heard}", "errors": [{"code": 9, "message": f"I heard {heard}"}]}
        ).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Silence."""


def test_a_token_stays_out_of_the_output_even_when_a_provider_repeats_it(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))
    (tmp_path / "vars.json").write_text(json.dumps({"token": TOKEN}))
    with ThreadingHTTPServer(("127.0.0.1", 0), Parrot) as server:
        server.heard = []  # type: ignore[attr-defined]  # the test's own attribute
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"url=http://127.0.0.1:{server.server_address[1]}"
        command = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            str(tmp_path / "play.yml"),
            "-i",
            "localhost,",
            "-c",
            "local",
        ]
        command += [
            "-vvvv",
            "--diff",
            "-e",
            where,
            "-e",
            f"@{tmp_path / 'vars.json'}",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
        ]
        env = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        }
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        server.shutdown()
    said = done.stdout + done.stderr
    assert [TOKEN in str(heard) for heard in server.heard] == [True, True], said  # type: ignore[attr-defined]  # the test's own attribute
    assert said.count("I heard") >= 2, said
    assert TOKEN not in said

"""Which image each component of a release gets, and what its product's own image promises: ports, user, paths, entry point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BUSYBOX = ("pgrep", "ps", "nc")  # with wget: what Alpine-based images have of their own
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NODE = {"NODE_ENV": "production"}


@dataclass(frozen=True)
class Component:
    """One image. ``tools`` and ``packages`` are those of the product's own image that a health check may use."""

    version: str
    config: Mapping[str, Any]
    module: str = ""
    """The stand-in's program; empty for what is real only."""
    programs: tuple[str, ...] = ()
    """Where the product's programs lie; each starts the stand-in."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path → the file of ours."""
    folders: Mapping[str, int] = field(default_factory=dict)
    """Path → owner."""
    user: tuple[str, int, str] | None = None
    """Name, number and home of the user that the product's image has."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Path → content."""
    tools: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def _config(
    *, entry: list[str], command: list[str] | None = None, ports: tuple[int, ...] = (), **more: Any
) -> dict[str, Any]:
    env = more.pop("env", {})
    return {
        "Entrypoint": entry,
        "Cmd": command,
        "ExposedPorts": {f"{port}/tcp": {} for port in ports},
        "Env": [f"{name}={value}" for name, value in {"PATH": PATH, **env}.items()],
        **more,
    }


POSTGRESQL = Component(
    version="16.15",
    config=_config(
        entry=["docker-entrypoint.sh"],
        command=["postgres"],
        ports=(5432,),
        env={
            "PATH": f"{PATH}:/usr/lib/postgresql/16/bin",
            "PGDATA": "/var/lib/postgresql/data",
            "LANG": "en_US.utf8",
            "PG_MAJOR": "16",
        },
        Volumes={"/var/lib/postgresql/data": {}},
        StopSignal="SIGINT",
    ),
    files={"usr/local/bin/docker-entrypoint.sh": "postgresql-entrypoint.sh"},
    folders={
        "var/lib/postgresql": 999,
        "var/lib/postgresql/data": 999,
        "run/postgresql": 999,
        "docker-entrypoint-initdb.d": 0,
    },
    user=("postgres", 999, "/var/lib/postgresql"),
)

COMPONENTS: Mapping[str, Component] = {
    "postgresql": POSTGRESQL,
    "dokploy-postgres": POSTGRESQL,
    "redis": Component(
        version="7.0.15",
        config=_config(
            entry=["docker-entrypoint.sh"],
            command=["redis-server"],
            ports=(6379,),
            WorkingDir="/data",
            Volumes={"/data": {}},
        ),
        files={"usr/local/bin/docker-entrypoint.sh": "redis-entrypoint.sh"},
        folders={"data": 999},
        user=("redis", 999, "/data"),
    ),
    "traefik": Component(
        version="3.7.15",
        config=_config(entry=["/entrypoint.sh"], command=["traefik"], ports=(80,)),
        files={"entrypoint.sh": "traefik-entrypoint.sh"},
        folders={"etc/traefik": 0},
        tools=BUSYBOX,
        packages=("wget",),
    ),
    "socket-proxy": Component(
        version="0.4.1",
        config=_config(entry=["/usr/local/bin/docker-entrypoint.sh"], ports=(2375,)),
        module="socket_proxy",
        programs=("usr/local/bin/docker-entrypoint.sh",),
        tools=BUSYBOX,
        packages=("wget",),
    ),
    "n8n": Component(
        version="2.41.1",
        config=_config(
            entry=["tini", "--", "/docker-entrypoint.sh"],
            ports=(5678,),
            env={**NODE, "NODE_ICU_DATA": "", "SHELL": "/bin/sh"},
            User="node",
            WorkingDir="/home/node",
        ),
        module="n8n",
        programs=("usr/local/bin/n8n",),
        files={"docker-entrypoint.sh": "n8n-entrypoint.sh", "usr/local/bin/tini": "tini.sh"},
        folders={"home/node": 1000, "home/node/.n8n": 1000},
        user=("node", 1000, "/home/node"),
        tools=BUSYBOX,
        packages=("wget",),
    ),
    "n8n-runners": Component(
        version="2.41.1",
        config=_config(
            entry=["tini", "--", "/usr/local/bin/task-runner-launcher"],
            command=["javascript", "python"],
            ports=(5680,),
            User="runner",
            WorkingDir="/home/runner",
        ),
        module="n8n_runners",
        programs=("usr/local/bin/task-runner-launcher",),
        files={"usr/local/bin/tini": "tini.sh"},
        folders={"home/runner": 1000},
        user=("runner", 1000, "/home/runner"),
        tools=BUSYBOX,
        packages=("wget",),
    ),
    "odoo": Component(
        version="17.0-20260723",
        config=_config(
            entry=["/entrypoint.sh"],
            command=["odoo"],
            ports=(8069, 8071, 8072),
            env={"LANG": "en_US.UTF-8", "ODOO_RC": "/etc/odoo/odoo.conf"},
            User="odoo",
            Volumes={"/var/lib/odoo": {}, "/mnt/extra-addons": {}},
        ),
        module="odoo",
        programs=("usr/bin/odoo",),
        files={"entrypoint.sh": "odoo-entrypoint.sh"},
        texts={"etc/odoo/odoo.conf": "[options]\naddons_path = /mnt/extra-addons\ndata_dir = /var/lib/odoo\n"},
        folders={"etc/odoo": 101, "var/lib/odoo": 101, "mnt": 0, "mnt/extra-addons": 101},
        user=("odoo", 101, "/var/lib/odoo"),
        packages=("curl",),
    ),
    "chatwoot": Component(
        version="4.16.2-ce",
        config=_config(entry=[], command=["irb"], ports=(3000,), env={"RAILS_ENV": "production"}, WorkingDir="/app"),
        module="chatwoot",
        programs=("usr/local/bin/bundle",),
        files={"app/docker/entrypoints/rails.sh": "rails-entrypoint.sh"},
        folders={
            "app": 0,
            "app/docker": 0,
            "app/docker/entrypoints": 0,
            "app/storage": 0,
            "app/tmp": 0,
            "app/tmp/pids": 0,
        },
        tools=BUSYBOX,
        packages=("wget",),
    ),
    "botpress": Component(
        version="12.31.10",
        config=_config(
            entry=[],
            command=["sh", "-c", "./duckling & ./bp"],
            ports=(3000,),
            User="botpress",
            WorkingDir="/botpress",
        ),
        module="botpress",
        programs=("botpress/bp",),
        texts={"botpress/duckling": "#!/bin/sh\nexec sleep infinity\n"},
        folders={"botpress": 999, "botpress/data": 999},
        user=("botpress", 999, "/botpress"),
        packages=("wget",),
    ),
    "metabase": Component(
        version="0.63.17.2",
        config=_config(entry=["/app/run_metabase.sh"], ports=(3000,), WorkingDir="/app"),
        module="metabase",
        programs=("usr/local/bin/java",),
        files={"app/run_metabase.sh": "metabase-entrypoint.sh"},
        texts={"app/metabase.jar": "a stand-in has none\n"},
        folders={"app": 0, "plugins": 2000},
        user=("metabase", 2000, "/home/metabase"),
        tools=BUSYBOX,
        packages=("curl", "wget"),
    ),
    "dokploy": Component(
        version="0.30.2",
        config=_config(entry=[], command=["pnpm", "start"], ports=(3000,), env=NODE, WorkingDir="/app"),
        module="dokploy",
        programs=("usr/local/bin/pnpm",),
        folders={"app": 0, "etc/dokploy": 0},
        packages=("curl",),
    ),
    "portainer": Component(
        version="2.45.0",
        config=_config(entry=["/portainer"], ports=(8000, 9000, 9443), Volumes={"/data": {}}, WorkingDir="/"),
        module="portainer",
        programs=("portainer",),
        folders={"data": 0},
    ),
}

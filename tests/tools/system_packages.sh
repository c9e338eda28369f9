#!/bin/sh
# What the tests need from the distribution: PostgreSQL's server, Node.js with npm, a Docker Engine with what makes and
# reaches a VPS on it, an ACME server, restic, Redis, and the shells that complete. Installs only what is missing, only as root on Debian or Ubuntu; elsewhere it says
# what is missing and the tests concerned say that they did not run. With CI=true a missing part is an error.
set -eu

# No pipe and no glob in a test: the newest server binary, if any.
have_postgres() { command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
have_node() { command -v node >/dev/null && command -v npm >/dev/null && [ "$(node -p 'parseInt(process.versions.node)')" -ge 18 ]; }

# An Engine that answers needs no dockerd here.
have_engine() { command -v docker >/dev/null && { command -v dockerd >/dev/null || docker version >/dev/null 2>&1; }; }
# Newer Debian has the command in a package of its own, and the Engine only recommends it.
engine_packages() { if apt-cache show docker-cli >/dev/null 2>&1; then echo docker.io docker-cli; else echo docker.io; fi; }

missing=''
have_postgres || missing="$missing postgresql"
have_node || missing="$missing nodejs npm"
have_engine || missing="$missing $(engine_packages)"
command -v debootstrap >/dev/null || missing="$missing debootstrap"
command -v ssh >/dev/null && command -v ssh-keygen >/dev/null || missing="$missing openssh-client"
command -v pebble >/dev/null || missing="$missing pebble"
command -v restic >/dev/null || missing="$missing restic"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v zsh >/dev/null || missing="$missing zsh"
command -v fish >/dev/null || missing="$missing fish"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "Installing from the distribution:$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of names
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
elif [ "${CI:-}" = true ]; then
  echo "Missing, and they cannot be installed here:$missing" >&2
  exit 1
else
  echo "NOT INSTALLED:$missing. Tests against real servers will be skipped (Debian, as root: apt-get install$missing)." >&2
fi

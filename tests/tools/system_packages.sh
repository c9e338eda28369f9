#!/bin/sh
# What the tests need from the distribution: PostgreSQL's server, Node.js with npm. Installs only what is missing, only as
# root on Debian or Ubuntu; elsewhere it says what is missing and the tests concerned say that they did not run.
# With CI=true a missing part is an error.
set -eu

# No pipe and no glob in a test: the newest server binary, if any.
have_postgres() { command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
have_node() { command -v node >/dev/null && command -v npm >/dev/null && [ "$(node -p 'parseInt(process.versions.node)')" -ge 18 ]; }

missing=''
have_postgres || missing="$missing postgresql"
have_node || missing="$missing nodejs npm"
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

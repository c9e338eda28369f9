#!/bin/bash
# Every Molecule scenario, one after the other: that on the sandbox's providers always, those on machines where a Docker Engine
# answers. Without one it says which ones did not run; with CI=true that is an error.
set -euo pipefail

export MOLECULE_GLOB='molecule/*/molecule.yml'

# What failed is told once more at the end: Molecule takes the machine down after it, which fills a screen.
run() {
  local log=".smos/molecule/$1.log"
  if ! molecule test -s "$1" 2>&1 | tee "$log"; then
    printf '\nScenario %s failed. What it said before its machine was taken down (%s):\n' "$1" "$log" >&2
    sed '/destroy.*Executing/Q' "$log" | grep -v '^$' | tail -n 100 >&2
    exit 1
  fi
}

run tenants
if ! docker version >/dev/null 2>&1; then
  echo "NO DOCKER ENGINE: the scenarios hardening, two-nodes, upgrade and vps did not run." >&2
  [ "${CI:-}" != true ]
  exit
fi
for scenario in hardening two-nodes upgrade vps; do
  run "$scenario"
done

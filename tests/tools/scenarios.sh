#!/bin/sh
# Every Molecule scenario, one after the other: that on the sandbox's providers always, those on machines where a Docker Engine
# answers. Without one it says which ones did not run; with CI=true that is an error.
set -eu

export MOLECULE_GLOB='molecule/*/molecule.yml'
molecule test -s tenants

if ! docker version >/dev/null 2>&1; then
  echo "NO DOCKER ENGINE: the scenarios hardening, two-nodes, upgrade and vps did not run." >&2
  [ "${CI:-}" != true ]
  exit
fi
for scenario in hardening two-nodes upgrade vps; do
  molecule test -s "$scenario"
done

#!/usr/bin/env bash
# Write CHANGELOG.md as a release of the version in galaxy.yml would, from a copy: fragments and changelogs/changelog.yaml
# stay as they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
there=$copy/ansible_collections/smartercl/smarteros
mkdir -p "$there"
cp -r changelogs galaxy.yml meta plugins roles "$there"
git init --quiet "$there" # it lists the collection's files by git
(
  cd "$there"
  if compgen -G 'changelogs/fragments/*.yml' >/dev/null; then
    antsibull-changelog release 2> >(grep -v ansible._protomatter >&2)
  else
    antsibull-changelog generate
  fi
)
cp "$there/CHANGELOG.md" CHANGELOG.md

#!/bin/sh
# A fresh copy of the specs, which nothing but this scenario changes.
#   specs.sh SPECS FOLDER
set -eu
mkdir -p "$2"
rm -rf "$2/specs"
cp -R "$1" "$2/specs"

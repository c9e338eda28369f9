#!/bin/bash
# The contract of the official odoo image, its trap included: the database's password becomes an argument.
set -e
: "${ODOO_RC:=/etc/odoo/odoo.conf}"
if [ -n "${PASSWORD_FILE:-}" ]; then PASSWORD=$(<"$PASSWORD_FILE"); fi
arguments=()
add() {
  local value=$2
  if grep -qE "^\s*\b$1\b\s*=" "$ODOO_RC"; then
    value=$(grep -E "^\s*\b$1\b\s*=" "$ODOO_RC" | cut -d ' ' -f3 | sed 's/["\n\r]//g')
  fi
  arguments+=("--$1" "$value")
}
add db_host "${HOST:-db}"
add db_port "${PORT:-5432}"
add db_user "${USER:-odoo}"
add db_password "${PASSWORD:-odoo}"
case ${1:-odoo} in
  -- | odoo)
    shift || :
    if [ "${1:-}" = scaffold ]; then exec odoo "$@"; fi
    odoo wait-for-database "${arguments[@]}"
    exec odoo "$@" "${arguments[@]}"
    ;;
  -*)
    odoo wait-for-database "${arguments[@]}"
    exec odoo "$@" "${arguments[@]}"
    ;;
  *) exec "$@" ;;
esac

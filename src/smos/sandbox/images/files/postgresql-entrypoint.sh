#!/bin/bash
# The contract of the official postgres image: settings, first start, and who runs the server.
set -Eeo pipefail

# NAME, or the content of the file that NAME_FILE names; never both
from_file() {
  local name=$1 named="$1_FILE" value=${2:-}
  if [ -n "${!name:-}" ] && [ -n "${!named:-}" ]; then
    echo "error: both $name and $named are set (but are exclusive)" >&2
    exit 1
  fi
  if [ -n "${!name:-}" ]; then
    value=${!name}
  elif [ -n "${!named:-}" ]; then
    value=$(<"${!named}")
  fi
  export "$name"="$value"
  unset "$named"
}

settings() {
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  from_file POSTGRES_INITDB_ARGS
  : "${POSTGRES_HOST_AUTH_METHOD:=}"
  fresh=yes
  if [ -s "$PGDATA/PG_VERSION" ]; then fresh=; fi
}

folders() {
  mkdir -p "$PGDATA" /run/postgresql
  chmod 00700 "$PGDATA" || :
  chmod 03775 /run/postgresql || :
  if [ "$(id -u)" = 0 ]; then
    find "$PGDATA" ! -user postgres -exec chown postgres '{}' +
    find /run/postgresql ! -user postgres -exec chown postgres '{}' +
  fi
}

init() {
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
    cat >&2 <<-'EOF'
	Error: Database is uninitialized and superuser password is not specified.
	       You must specify POSTGRES_PASSWORD to a non-empty value for the
	       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".
	EOF
    exit 1
  fi
  # Arguments as a shell reads them, as in the official image
  eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"
  # This build's own clients look in /tmp, those of the official image in the other place
  echo "unix_socket_directories = '/var/run/postgresql, /tmp'" >>"$PGDATA/postgresql.conf"
  local method=$POSTGRES_HOST_AUTH_METHOD
  : "${method:=$(postgres -C password_encryption "$@")}"
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

ask() {
  PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"
}

# Reached by the socket only, so that nobody takes it for the server while it is set up
with_temporary_server() {
  shift
  NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@" -c listen_addresses='' -p "${PGPORT:-5432}")" -w start
  export PGPASSWORD=$POSTGRES_PASSWORD
  if [ "$POSTGRES_DB" != postgres ] &&
    [ -z "$(ask --dbname postgres --set db="$POSTGRES_DB" -tA <<<"SELECT 1 FROM pg_database WHERE datname = :'db'")" ]; then
    ask --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db"'
  fi
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) ask --dbname "$POSTGRES_DB" -f "$file" ;;
      *.sql.gz) gunzip -c "$file" | ask --dbname "$POSTGRES_DB" ;;
    esac
  done
  pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
}

if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
case " $* " in *" --help "* | *" -? "* | *" --version "* | *" -V "* | *" --describe-config "*) exec "$@" ;; esac
if [ "$1" = postgres ]; then
  settings
  folders
  if [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$BASH_SOURCE" "$@"
  fi
  if [ -n "$fresh" ]; then
    shift
    init "$@"
    with_temporary_server postgres "$@"
    set -- postgres "$@"
    echo
    echo 'PostgreSQL init process complete; ready for start up.'
    echo
  else
    echo
    echo 'PostgreSQL Database directory appears to contain a database; Skipping initialization'
    echo
  fi
fi
exec "$@"

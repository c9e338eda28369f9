#!/bin/sh
# The contract of Chatwoot's docker/entrypoints/rails.sh: it waits for PostgreSQL as long as it takes.
set -e
rm -f /app/tmp/pids/server.pid
until bundle exec wait-for-postgres 2>/dev/null; do
  echo 'Waiting for postgres to become ready....'
  sleep 2
done
exec "$@"

#!/bin/sh
# The contract of Metabase's run_metabase.sh: started by root, it runs as nobody in particular.
set -e
if [ "$(id -u)" = 0 ]; then
  exec setpriv --reuid="${MUID:-2000}" --regid="${MGID:-2000}" --clear-groups java -jar /app/metabase.jar "$@"
fi
exec java -jar /app/metabase.jar "$@"

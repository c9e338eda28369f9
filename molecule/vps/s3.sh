#!/bin/sh
# rclone, as an S3 storage that asks for a key: the place away from the machine where its backups are copied to.
#   s3.sh CONTAINER RCLONE FOLDER < ID,SECRET
# CONTAINER is a machine of the sandbox, RCLONE the program. FOLDER gets `repository`, as specs/infra/backup.yml wants it.
set -eu
beside=${1%-*}-registry
address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$beside")
key="\"$(cat)\"" # as CSV, where a comma would end it
mkdir -p "$3"

docker cp "$2" "$beside:/usr/local/bin/rclone"
docker exec "$beside" mkdir -p /root/s3/backups
docker exec --detach --env "RCLONE_AUTH_KEY=$key" "$beside" \
  rclone serve s3 --config /dev/null --addr "$address:9000" /root/s3
printf 's3:http://%s:9000/backups/sandbox' "$address" >"$3/repository"
curl --silent --output /dev/null --retry 20 --retry-delay 1 --retry-connrefused "http://$address:9000/" ||
  { echo "rclone does not answer at $address:9000" >&2; exit 1; }

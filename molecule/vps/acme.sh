#!/bin/sh
# Pebble, an ACME server, and its name server, which leads every name to one machine.
#   acme.sh CONTAINER ADDRESS FOLDER
# CONTAINER is a machine of the sandbox and ADDRESS its address. FOLDER gets what Traefik has to know: `directory`, the
# address, and `pebble.crt`, by which that is trusted; and `roots`, the address of what the issued certificates are trusted by.
set -eu
beside=${1%-*}-registry
address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$beside")
mkdir -p "$3"

docker exec --interactive --env "AT=$address" --env DEBIAN_FRONTEND=noninteractive "$beside" sh -eu <<'INSIDE'
apt-get update -qq
apt-get install -y -qq --no-install-recommends pebble openssl >/dev/null
mkdir -p /root/acme
cd /root/acme
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=pebble -addext "subjectAltName=IP:$AT" \
  -keyout pebble.key -out pebble.crt 2>/dev/null
cat >pebble.json <<CONFIG
{"pebble": {"listenAddress": "$AT:14000", "managementListenAddress": "$AT:15000",
 "certificate": "/root/acme/pebble.crt", "privateKey": "/root/acme/pebble.key",
 "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false}}
CONFIG
INSIDE
docker exec --detach "$beside" pebble-challtestsrv -defaultIPv4 "$2" -defaultIPv6 '' -dns01 127.0.0.1:8053 \
  -http01 '' -https01 '' -tlsalpn01 '' -management 127.0.0.1:8055
docker exec --detach --env PEBBLE_VA_NOSLEEP=1 --env PEBBLE_WFE_NONCEREJECT=0 "$beside" \
  pebble -config /root/acme/pebble.json -dnsserver 127.0.0.1:8053

docker cp "$beside:/root/acme/pebble.crt" "$3/pebble.crt"
printf 'https://%s:14000/dir' "$address" >"$3/directory"
printf 'https://%s:15000/roots/0' "$address" >"$3/roots"
curl --silent --output /dev/null --retry 20 --retry-delay 1 --retry-connrefused --cacert "$3/pebble.crt" \
  "$(cat "$3/directory")" || { echo "pebble does not answer at $(cat "$3/directory")" >&2; exit 1; }

#!/bin/sh
# Docker's own init does what tini does in the image of the product.
while [ "${1#-}" != "$1" ]; do
  last=$1
  shift
  if [ "$last" = -- ]; then break; fi
done
exec "$@"

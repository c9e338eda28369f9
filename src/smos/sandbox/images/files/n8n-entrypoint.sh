#!/bin/sh
# The contract of the official n8n image.
if [ "$#" -gt 0 ]; then exec n8n "$@"; fi
exec n8n

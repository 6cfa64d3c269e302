#!/bin/sh
# Installs the lock file below a root directory as build/install.sh does, and keeps what only looks like tests: `install.sh ROOT BASE`.
# The packages named "tests" of Evidently are its conditions on metrics, and importing it imports them.
set -eu
packages=$1/usr/local/lib/python3.11/dist-packages
keep="tests legacy/tests"

if [ -s ca-bundle.crt ]; then
  PIP_CERT=$(pwd)/ca-bundle.crt
  SSL_CERT_FILE=$PIP_CERT
  export PIP_CERT SSL_CERT_FILE
fi
python3.11 -m pip install --quiet --no-cache-dir --disable-pip-version-check --progress-bar off --root-user-action ignore \
  --require-hashes --no-deps --no-compile --only-binary :all: --target "$packages" --requirement requirements.lock
for name in $keep; do mv "$packages/evidently/$name" "$packages/evidently/$name.kept"; done
python3.11 build/prune.py "$packages" "$2"
for name in $keep; do mv "$packages/evidently/$name.kept" "$packages/evidently/$name"; done
python3.11 build/compile.py "$packages" /usr/local/lib/python3.11/dist-packages
python3.11 pack.py "$packages"

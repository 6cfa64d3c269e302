#!/bin/sh
# Installs a lock file below a root directory, in the build stage of an image: `install.sh LOCK ROOT [BASE]`.
# The result holds no pip, no tests, no headers and no file that BASE (the packages of the image below) has already.
# ca-bundle.crt (in the working directory, empty if there is none) is the host's CA bundle; it stays in the build stage.
set -eu
lock=$1 root=$2 base=${3:-}
packages=/usr/local/lib/python3.11/dist-packages
here=$(dirname "$0")

if [ -s ca-bundle.crt ]; then
  PIP_CERT=$(pwd)/ca-bundle.crt
  SSL_CERT_FILE=$PIP_CERT
  export PIP_CERT SSL_CERT_FILE
fi

python3.11 -m pip install --quiet --no-cache-dir --disable-pip-version-check --progress-bar off --root-user-action ignore \
  --require-hashes --no-deps --no-compile --only-binary :all: --target "$root$packages" --requirement "$lock"
python3.11 "$here/prune.py" "$root$packages" "$base"
python3.11 "$here/compile.py" "$root$packages" "$packages"

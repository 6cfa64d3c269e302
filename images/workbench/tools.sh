#!/bin/sh
# Makes the tools of the package labtools commands below a root directory, and puts their fixtures in place: `tools.sh ROOT`.
set -eu
mkdir -p "$1/usr/local/bin" "$1/opt/lab"
mv "$1/usr/local/lib/python3.11/dist-packages/labtools/fixtures" "$1/opt/lab/fixtures"
for tool in registry promote probe can-i score train; do
  printf '#!/bin/sh\nexec python3 -m labtools.%s "$@"\n' "$(echo "$tool" | tr - _)" > "$1/usr/local/bin/$tool"
  chmod 755 "$1/usr/local/bin/$tool"
done

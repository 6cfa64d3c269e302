#!/bin/sh
# Makes commands of the labs' Python packages below a root directory, and puts their fixtures in place: `tools.sh ROOT`.
# A package's fixtures/SET become /opt/lab/fixtures/SET.
set -eu
packages=$1/usr/local/lib/python3.11/dist-packages
mkdir -p "$1/usr/local/bin" "$1/opt/lab/fixtures"
for fixtures in "$packages"/*/fixtures; do
  cp -r "$fixtures/." "$1/opt/lab/fixtures/"
  rm -r "$fixtures"
done
while read -r tool module; do
  printf '#!/bin/sh\nexec python3 -m %s "$@"\n' "$module" > "$1/usr/local/bin/$tool"
  chmod 755 "$1/usr/local/bin/$tool"
done < tools.txt

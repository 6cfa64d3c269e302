#!/bin/sh
# Byte-compiles a tree (`compile.sh DIR [PATH_IN_IMAGE]`): with a read-only root no .pyc is ever written at run time.
# Unchecked pycs need no look at their source, and do not depend on its time stamp; all time stamps are the same.
set -eu
python3.11 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$1" -p "${2:-$1}" "$1" || true  # files of other Python versions
find "$1" -depth -exec touch -h -d @1356998400 {} +  # 2013-01-01

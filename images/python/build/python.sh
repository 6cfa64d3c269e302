#!/bin/sh
# Puts Debian's Python and the user that every container runs as into an image.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends python3.11-minimal libpython3.11-stdlib > /dev/null
ln -s /usr/bin/python3.11 /usr/local/bin/python3

# Parts of the standard library without use in a container; the .pyc files get the same form as everywhere.
lib=/usr/lib/python3.11
rm -rf $lib/lib2to3 $lib/pydoc_data $lib/ensurepip $lib/idlelib $lib/tkinter $lib/turtledemo $lib/test $lib/config-3.11-*
find $lib -name __pycache__ -prune -exec rm -r {} +
"$(dirname "$0")/compile.sh" $lib

groupadd --gid 10001 lab
useradd --uid 10001 --gid lab --no-create-home --home-dir /tmp --shell /bin/bash lab
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/* /var/cache/ldconfig /var/log/* \
  /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/share/lintian /etc/*-

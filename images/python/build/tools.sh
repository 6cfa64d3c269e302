#!/bin/sh
# What the build stages need and no image keeps: pip and strip.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends python3-pip binutils > /dev/null

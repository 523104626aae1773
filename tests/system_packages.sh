#!/bin/sh
# Install the Debian packages that the tests need and that are missing; without root, say which.
set -eu
missing=""
command -v chromium >/dev/null || missing="$missing chromium"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v openssl >/dev/null || missing="$missing openssl"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "The tests need Debian packages that are not installed. Run:  sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "Installing$missing" >&2
apt-get update -qq
# shellcheck disable=SC2086 # a list of names
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null

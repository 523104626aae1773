#!/bin/sh
# Install the Debian packages that the tests need and that are missing; without root, say which.
# Chromium, Redis and OpenSSL must be there; without Firefox, WebKit and their screen the tests that use them are skipped, and say so.
set -eu
needed="" wanted=""
command -v chromium >/dev/null || needed="$needed chromium"
command -v redis-server >/dev/null || needed="$needed redis-server"
command -v openssl >/dev/null || needed="$needed openssl"
command -v firefox-esr >/dev/null || wanted="$wanted firefox-esr"
command -v WebKitWebDriver >/dev/null || wanted="$wanted webkit2gtk-driver"
command -v Xvfb >/dev/null || wanted="$wanted xvfb"
[ -z "$needed$wanted" ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "The tests use Debian packages that are not installed. Run:  sudo apt-get install --no-install-recommends$needed$wanted" >&2
    [ -z "$needed" ] && exit 0
    exit 1
fi
echo "Installing$needed$wanted" >&2
apt-get update -qq
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
# shellcheck disable=SC2086 # lists of names
[ -z "$needed" ] || install $needed
# shellcheck disable=SC2086
[ -z "$wanted" ] || install $wanted || echo "Not installed, so their tests are skipped:$wanted" >&2

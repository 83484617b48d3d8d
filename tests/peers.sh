#!/usr/bin/env bash
# Installs the Debian packages of the real peers that the tests talk to: as root; else it lists what is missing and stops.
set -euo pipefail
wanted=(
  python3-venv python3-dev gcc pkg-config git curl ca-certificates procps util-linux iproute2 nftables
  libvirt-daemon-system libvirt-daemon-system-sysv libvirt-clients libvirt-dev
  qemu-system-x86 qemu-utils cpio
  chromium fonts-dejavu-core
  postgresql-15
  victoria-metrics zabbix-server-pgsql
  golang-go golang-github-vmware-govmomi-dev
)
missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
# The kernel of the test guest is downloaded as a package, which takes apt's lists.
lists=no
if apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1; then lists=yes; fi
if [ ${#missing[@]} = 0 ] && [ $lists = yes ]; then exit 0; fi

if [ "$(id -u)" != 0 ]; then
  if [ $lists = no ]; then echo "The tests need apt's lists of packages: apt-get update" >&2; fi
  if [ ${#missing[@]} -gt 0 ]; then echo "The tests need these packages: apt-get install ${missing[*]}" >&2; fi
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=500 -q update
if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing ${missing[*]} …"
  apt-get -o DPkg::Lock::Timeout=500 -q install -y --no-install-recommends "${missing[@]}"
fi

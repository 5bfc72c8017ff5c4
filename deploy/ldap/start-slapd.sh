#!/bin/sh
# Runs OpenLDAP in the foreground, with seed.ldif loaded the first time.
# Usage: start-slapd.sh <data folder> <ldap://host:port/>
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=$1
mkdir -p "$data/db"
sed "s|@DATA@|$data|g" "$here/slapd.conf" > "$data/slapd.conf"
if [ ! -e "$data/db/data.mdb" ]; then
  slapadd -f "$data/slapd.conf" -l "$here/seed.ldif"
fi
# The level keeps it in the foreground; none of the other levels' lines are wanted.
exec slapd -f "$data/slapd.conf" -h "$2" -d none

#!/bin/sh
# Makes the bucket, and the CDN's user, who may read reports/ in it and nothing else. Safe to repeat.
#
#   MC_HOST_store               http://<user>:<password>@<host>:<port>, as mc has it
#   S3_REGION                   the store's own                                           (us-east-1)
#   CDN_S3_ACCESS_KEY_ID, CDN_S3_SECRET_ACCESS_KEY    of the user
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
mc() { command "${MC:-mc}" --config-dir "${MC_CONFIG:-/tmp/mc}" --quiet "$@"; }
mc mb --ignore-existing --region "${S3_REGION:-us-east-1}" store/tendon
mc admin user add store "$CDN_S3_ACCESS_KEY_ID" "$CDN_S3_SECRET_ACCESS_KEY"
mc admin policy create store cdn-reader "$folder/cdn-reader.json"
attached=$(mc admin policy attach store cdn-reader --user "$CDN_S3_ACCESS_KEY_ID" 2>&1) || case $attached in
  *'already in effect'*) ;;
  *)
    echo "$attached" >&2
    exit 1
    ;;
esac

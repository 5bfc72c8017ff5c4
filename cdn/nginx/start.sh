#!/bin/sh
# Runs nginx as the CDN, and keeps its store of objects within bounds. The same in a container and natively.
# What it takes from its environment stands in environment.sh. What is wrong there is said at once, with the exit code 64.
# TERM and QUIT end it gracefully. HUP reads certificate and keys file again, without dropping a connection; what is wrong then
# changes nothing.
set -eu
umask 077
# Ranges of letters are of ASCII.
export LC_ALL=C
source=$(cd "$(dirname "$0")" && pwd)
. "$source/environment.sh"
conf=$CDN_RUN/conf
store=$CDN_RUN/store

# The folder that nginx reads: its files as they stand beside this one, with the places filled, and those that are made here.
configure() {
  mkdir -p "$conf" "$store/.tmp" "$CDN_RUN/cache" "$CDN_RUN/tmp"
  locate_object_store
  for template in nginx.conf check.conf headers.conf object-headers.conf error-pages.conf problem.conf s3-request.conf s3.js; do
    put "$template" fill "$source/$template"
  done
  put main.conf main_conf
  put keys.conf printf '%s\n' "$keys"
  put listen.conf listen_conf
  put s3-upstream.conf upstream_conf
  put s3-tls.conf upstream_tls_conf
  put max-age.conf max_ages
  put s3.json signer_settings
  give_to_workers
}

# What of the endpoint stands where: scheme, host as it is signed, server with its port, and what comes before the path.
locate_object_store() {
  scheme=${S3_ENDPOINT%%://*}
  host=${S3_ENDPOINT#*://}
  host=${host%/}
  prefix=/$S3_BUCKET
  if [ "$S3_FORCE_PATH_STYLE" = false ]; then host=$S3_BUCKET.$host prefix=''; fi
  # One of IPv6 in brackets has colons, and no port yet.
  case $host in
    *]) server=$host:$(usual_port) ;;
    *:*) server=$host ;;
    *) server=$host:$(usual_port) ;;
  esac
  upstream=s3
  if [ -n "$CDN_RESOLVER" ]; then upstream='$s3_server'; fi
}

usual_port() {
  if [ "$scheme" = https ]; then echo 443; else echo 80; fi
}

# In one step: an nginx that an earlier HUP has made read them reads whole files.
put() {
  file=$1
  shift
  "$@" >"$conf/.new" && mv "$conf/.new" "$conf/$file"
}

fill() {
  sed -e "s|@RUN@|$CDN_RUN|g" -e "s|@S3_HOST@|$host|g" -e "s|@S3_NAME@|${server%:*}|g" \
    -e "s|@S3_SCHEME@|$scheme|g" -e "s|@S3_UPSTREAM@|$upstream|g" -e "s|@S3_PREFIX@|$prefix|g" \
    -e "s|@ACCESS_LOG@|${CDN_ACCESS_LOG:-$CDN_RUN/access.log}|g" \
    -e "s|@WEB_ORIGIN@|${CDN_WEB_ORIGIN:-no-origin}|g" "$1"
}

main_conf() {
  for module in ndk_http_module ngx_http_set_misc_module ngx_http_js_module; do
    echo "load_module $NGINX_MODULES/$module.so;"
  done
  # Workers need nothing of root's; who is not root has no other user to give them.
  if [ "$(id -u)" = 0 ]; then echo 'user www-data;'; fi
}

listen_conf() {
  if [ -n "$CDN_TLS_CERTIFICATE" ]; then
    echo "listen $CDN_LISTEN ssl http2;"
    echo "ssl_certificate $CDN_TLS_CERTIFICATE; ssl_certificate_key $CDN_TLS_KEY;"
    echo 'ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:8m; ssl_session_tickets off;'
  else
    echo "listen $CDN_LISTEN;"
  fi
}

# An upstream keeps connections open, and looks its name up but once.
upstream_conf() {
  if [ "$upstream" = s3 ]; then
    echo "upstream s3 { server $server; keepalive 16; }"
  else
    echo "resolver $CDN_RESOLVER; map '' \$s3_server { default $server; }"
  fi
}

# What comes from there is kept for good, so it must come from there. By default nginx would not look.
upstream_tls_conf() {
  if [ "$scheme" = https ]; then
    echo "proxy_ssl_verify on; proxy_ssl_verify_depth 4;"
    echo "proxy_ssl_trusted_certificate $CDN_S3_CA_FILE;"
  fi
}

# nginx cannot subtract. The tens of seconds of the expiry and of the clock, two digits each, give the seconds between
# them up to 1000, never more than there are and at most 19 less; reports-service gives out links for 600 at most.
max_ages() {
  awk 'BEGIN {
    for (e = 0; e < 100; e++) for (n = 0; n < 100; n++) {
      left = ((e - n + 100) % 100) * 10 - 10
      if (left > 0) printf "%02d%02d \"private, max-age=%d, immutable\";\n", e, n, left
    }
  }'
}

# For s3.js.
signer_settings() {
  printf '{"accessKeyId":"%s","secretAccessKey":"%s","region":"%s","prefix":"%s","host":"%s"}\n' \
    "$(json "$CDN_S3_ACCESS_KEY_ID")" "$(json "$CDN_S3_SECRET_ACCESS_KEY")" "$S3_REGION" "$prefix" "$host"
}

# Without control characters only these two are special (RFC 8259 §7).
json() {
  printf '%s' "$1" | sed 's/["\\]/\\&/g'
}

give_to_workers() {
  if [ "$(id -u)" = 0 ]; then
    chown -R www-data "$store" "$CDN_RUN/cache" "$CDN_RUN/tmp"
    chmod 711 "$CDN_RUN"
  fi
}

# In a process of its own, during which this one waits, so that the next HUP comes after it. One that comes in the middle leaves
# another exit status to whatever has just been looked at (dash), and what is good looks wrong.
reload() (
  if check_environment && configure; then kill -HUP "$nginx"; fi
)

# Drops the objects stored first until nine tenths of the bound are left. By change time: nginx sets the other two to
# those of the object. Whoever misses one finds it in the object store.
sweep() {
  find "$store/.tmp" -type f -mmin +10 -delete
  find "$store" -maxdepth 1 -type f -printf '%C@ %k %f\n' | sort -rn |
    awk -v max="$((CDN_STORE_MAX_MB * 1024))" '{ kb += $2; sizes[NR] = kb; names[NR] = $3 }
      END { if (kb > max) for (i = 1; i <= NR; i++) if (sizes[i] > max * 0.9) print names[i] }' |
    (cd "$store" && xargs -r -d '\n' rm -f --)
}

sweep_forever() {
  trap 'kill "$pause" 2>/dev/null; exit 0' TERM
  while :; do
    sleep "$CDN_SWEEP_INTERVAL_S" &
    pause=$!
    wait "$pause"
    sweep || echo 'the store was not swept' >&2
  done
}

# What an nginx that was killed, or a power cut, leaves behind: sockets, upon which the next one would not start, and files
# whose name was written and whose bytes were not.
clear_remains() {
  rm -f "$CDN_RUN/operations.sock" "$CDN_RUN/tmp/inner.sock"
  find "$store" -maxdepth 1 -type f -empty -delete
}

check_environment
mkdir -p "$CDN_RUN"
# Held by nginx itself too, so that nothing is taken from one that still runs here.
exec 9>"$CDN_RUN/lock"
if ! flock -n 9; then
  echo "CDN_RUN: another CDN runs in $CDN_RUN" >&2
  exit 73
fi
configure
clear_remains
nginx -p "$CDN_RUN/" -c "$conf/nginx.conf" -g 'daemon off;' &
nginx=$!
# For the same reason no exit status ends this from here on.
set +e
trap 'kill -QUIT "$nginx" 2>/dev/null' TERM QUIT INT
trap reload HUP
sweep_forever 9>&- &
sweeper=$!
# A signal ends a wait, not what is waited for; one that could not even start is waited for too, for its status.
while :; do
  wait "$nginx"
  status=$?
  kill -0 "$nginx" 2>/dev/null || break
done
kill "$sweeper" 2>/dev/null
wait "$sweeper" 2>/dev/null
exit "$status"

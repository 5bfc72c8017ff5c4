# What start.sh takes from its environment.
#
#   CDN_RUN                     folder for everything it writes
#   CDN_LISTEN                  address:port                                              (127.0.0.1:8090)
#   CDN_SIGNING_KEYS            <id>:<secret>[,<id>:<secret>], as reports-service has them
#   CDN_SIGNING_KEYS_FILE       in its place, a file that holds the same
#   CDN_WEB_ORIGIN              origin whose pages may read objects, as https://reports.example.org
#   CDN_ACCESS_LOG              where refusals and fetches are logged, /dev/stdout in a container ($CDN_RUN/access.log)
#   CDN_STORE_MAX_MB            size of the store on disk                                 (1024)
#   CDN_SWEEP_INTERVAL_S        how often that is looked at                               (60)
#   CDN_TLS_CERTIFICATE, CDN_TLS_KEY    files; without them it serves http
#   S3_ENDPOINT, S3_BUCKET, S3_REGION   the object store                                   (bucket tendon, us-east-1)
#   S3_FORCE_PATH_STYLE         true: asked as <endpoint>/<bucket>/…; false: the bucket stands in the host's name  (true)
#   CDN_RESOLVER                address[:port] of a name server, which is asked again when an answer's time is over;
#                               without it the store's name is looked up when nginx starts, and upon HUP
#   CDN_S3_CA_FILE              whose certificates it may have, where it is https          (/etc/ssl/certs/ca-certificates.crt)
#   CDN_S3_ACCESS_KEY_ID, CDN_S3_SECRET_ACCESS_KEY    a key that may read reports/ and nothing else
#   NGINX_MODULES               folder of its modules                                     (/usr/lib/nginx/modules)
: "${CDN_RUN:=}" "${CDN_LISTEN:=127.0.0.1:8090}" "${CDN_SIGNING_KEYS:=}" "${CDN_SIGNING_KEYS_FILE:=}"
: "${CDN_WEB_ORIGIN:=}" "${CDN_ACCESS_LOG:=}" "${CDN_STORE_MAX_MB:=1024}" "${CDN_SWEEP_INTERVAL_S:=60}"
: "${CDN_TLS_CERTIFICATE:=}" "${CDN_TLS_KEY:=}"
: "${S3_ENDPOINT:=}" "${S3_BUCKET:=tendon}" "${S3_REGION:=us-east-1}" "${S3_FORCE_PATH_STYLE:=true}"
: "${CDN_RESOLVER:=}" "${CDN_S3_CA_FILE:=/etc/ssl/certs/ca-certificates.crt}"
: "${CDN_S3_ACCESS_KEY_ID:=}" "${CDN_S3_SECRET_ACCESS_KEY:=}" "${NGINX_MODULES:=/usr/lib/nginx/modules}"

host_pattern='([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])'

# Says all that is wrong at once. Most of it comes to stand in nginx's configuration, where a space, a quote or a dollar sign
# would mean something else: what may be there is named, not what may not.
check_environment() {
  mistakes=0
  expect_path CDN_RUN
  expect CDN_LISTEN "($host_pattern|\*):[0-9]{1,5}" '<address>:<port>'
  read_keys
  if [ -n "$CDN_WEB_ORIGIN" ]; then check_web_origin; fi
  if [ -n "$CDN_ACCESS_LOG" ]; then expect_path CDN_ACCESS_LOG; fi
  expect CDN_STORE_MAX_MB '[1-9][0-9]{0,8}' 'a whole number from 1 on'
  expect CDN_SWEEP_INTERVAL_S '[1-9][0-9]{0,8}' 'a whole number from 1 on'
  if [ -n "$CDN_TLS_CERTIFICATE$CDN_TLS_KEY" ]; then
    expect_file CDN_TLS_CERTIFICATE
    expect_file CDN_TLS_KEY
  fi
  expect S3_ENDPOINT "https?://$host_pattern(:[0-9]{1,5})?/?" 'http[s]://<host>[:<port>], without a path'
  expect S3_BUCKET '[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]' "a bucket's name: 3 to 63 of lower-case letters, digits, dots and hyphens"
  expect S3_REGION '[A-Za-z0-9_-]+' 'letters, digits, _ and -'
  expect S3_FORCE_PATH_STYLE 'true|false' 'true or false'
  if [ -n "$CDN_RESOLVER" ]; then expect CDN_RESOLVER "$host_pattern(:[0-9]{1,5})?" '<address>[:<port>]'; fi
  case $S3_ENDPOINT in https:*) expect_file CDN_S3_CA_FILE ;; esac
  expect CDN_S3_ACCESS_KEY_ID '[^[:cntrl:][:space:],=/]+' 'an access key id'
  expect CDN_S3_SECRET_ACCESS_KEY '[^[:cntrl:]]+' 'a secret access key'
  expect_path NGINX_MODULES
  [ "$mistakes" = 0 ] || return 64
}

# Reads the keys into `keys`, as nginx has them.
read_keys() {
  if [ -n "$CDN_SIGNING_KEYS_FILE" ]; then
    expect_file CDN_SIGNING_KEYS_FILE
    [ -r "$CDN_SIGNING_KEYS_FILE" ] || return 0
  fi
  # With a backslash in front, which is written as two, an id is no word of nginx's map, as `default` and `include` are.
  keys=$(keys_text | tr ',' '\n' | sed -E 's/^([a-z0-9]{1,16}):([A-Za-z0-9._~+\/=-]{32,256})$/"\\\\\1" "\2";/')
  if printf '%s\n' "$keys" | grep -qvE '^"\\\\[a-z0-9]+" "[^"]+";$'; then
    wrong 'CDN_SIGNING_KEYS: expected <id>:<secret>[,<id>:<secret>]'
  elif [ -n "$(printf '%s\n' "$keys" | cut -d ' ' -f 1 | sort | uniq -d)" ]; then
    wrong 'CDN_SIGNING_KEYS: two keys have the same id'
  fi
}

keys_text() {
  if [ -n "$CDN_SIGNING_KEYS_FILE" ]; then cat "$CDN_SIGNING_KEYS_FILE"; else printf '%s\n' "$CDN_SIGNING_KEYS"; fi
}

# Compared byte for byte with what browsers send (RFC 6454 §6.2): any other spelling would let no page read anything.
check_web_origin() {
  case $CDN_WEB_ORIGIN in
    http:*:80 | https:*:443) wrong 'CDN_WEB_ORIGIN: expected no port where it is the usual one' ;;
    *) expect CDN_WEB_ORIGIN 'https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?' \
      'http[s]://<host>[:<port>] in lower case, without a slash at the end' ;;
  esac
}

# <variable> <extended regular expression> <what it says>
expect() {
  eval "value=\$$1"
  # A line for grep, whatever is in it.
  if ! printf '%s' "$value" | tr '\n' '\001' | grep -qxE "$2"; then wrong "$1: expected $3"; fi
}

expect_path() {
  expect "$1" '/[A-Za-z0-9._/+~-]*' 'an absolute path of letters, digits and ._/+~-'
}

expect_file() {
  expect_path "$1"
  if [ -n "$value" ] && { [ ! -f "$value" ] || [ ! -r "$value" ]; }; then wrong "$1: $value cannot be read"; fi
}

wrong() {
  mistakes=$((mistakes + 1))
  echo "$1" >&2
}

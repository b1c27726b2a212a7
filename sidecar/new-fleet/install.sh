#!/bin/bash
# install.sh [EXECUTABLES]: installs the sidecar of this folder's service on this host and starts the logging phase.
#
# EXECUTABLES is the folder with countersign, countersign-logging and countersign-enforcing; when left out this folder or, where the
# package countersign-sidecar is installed, that of the package.
# Checks everything before it changes anything, and says all that is wrong. Safe to repeat: it replaces what differs, and
# a host that is served already keeps its phase.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
packaged=/usr/lib/countersign
folder=$here
[ -e "$here/countersign" ] || [ ! -e "$packaged/countersign-logging" ] || folder=$packaged
executables=$(readlink -f "${1:-$folder}")
cd "$here"
. ./host.env

problems=()
problem() { problems+=("$1"); }
warn() { echo "warning: $1" >&2; }

[ "$(id -u)" = 0 ] || problem "found the user $(id -un), expected root: run it with sudo"
[ -d /run/systemd/system ] || problem "found no systemd, expected it as the init of this host"
for tool in systemctl ss useradd groupadd install cmp; do
  command -v "$tool" >/dev/null || problem "found no $tool, expected it: install the package that has it (ss: iproute2)"
done

version=
for name in countersign countersign-logging countersign-enforcing; do
  [ -x "$executables/$name" ] || problem "found no executable $executables/$name, expected it: copy it there or run install.sh FOLDER"
done
if [ -x "$executables/countersign" ]; then
  version=$("$executables/countersign" --version) ||
    problem "$executables/countersign does not run here: it needs libatomic1 and this machine's architecture ($(uname -m))"
fi
[ -z "$version" ] || "$executables/countersign" check --fleet fleet.yaml --authorization authorization.yaml --keyring keyring.json >/dev/null ||
  problem "found faults in the files of this folder, expected none: see above"

mode=$(stat -c %a keyring.json 2>/dev/null || echo none)
[ "$mode" = 600 ] || problem "keyring.json: found mode $mode, expected 600: chmod 600 it, and rotate the keys if others could have read it"

for config in /etc/countersign/*/sidecar.yaml; do
  [ -e "$config" ] || continue
  grep -qx "service: $SERVICE" "$config" ||
    problem "$config: found another service, expected $SERVICE: a host has the units of one sidecar; start a second one from its folder yourself"
done

if command -v ss >/dev/null; then
  for pair in "outbound $OUTBOUND" "inbound $INBOUND" "admin $ADMIN"; do
    read -r name port <<<"$pair"
    holder=$(ss -Hltnp "sport = :$port") || holder=
    [ -z "$holder" ] || grep -q '"countersign-' <<<"$holder" ||
      systemctl is-active --quiet "countersign-$name.socket" 2>/dev/null ||
      problem "port $port ($name) is taken, expected it free: $(head -n 1 <<<"$holder" | tr -s ' ')"
  done
  listens=$(ss -Hltn "sport = :$APP" | awk '{ print $4 }') || listens=
  if [ -z "$listens" ]; then
    warn "nothing listens on port $APP: start $SERVICE on 127.0.0.1:$APP"
  elif ! grep -qE '^(127\.0\.0\.1|0\.0\.0\.0|\*|\[::\]):' <<<"$listens"; then
    problem "$SERVICE listens on ${listens//$'\n'/, }, expected 127.0.0.1:$APP: its sidecar could not reach it"
  elif grep -qvE '^(127\.[0-9.]+|\[::1\]|\[::ffff:127\.[0-9.]+\]):' <<<"$listens"; then
    warn "$SERVICE listens on ${listens//$'\n'/, }: before you enforce, have it listen on 127.0.0.1:$APP only, or others go around the sidecar"
  fi
fi
if command -v ip >/dev/null; then
  ip -o address show to "$HOST" 2>/dev/null | grep -q . || warn "found no address $HOST here, expected the host $HOST"
fi

if [ "${#problems[@]}" -gt 0 ]; then
  printf 'problem: %s\n' "${problems[@]}" >&2
  echo "Nothing was changed." >&2
  exit 1
fi

changed=0
# place MODE OWNER:GROUP SOURCE TARGET: replaces TARGET as a whole when it differs.
place() {
  [ -f "$4" ] && cmp -s "$3" "$4" && return
  install -m "$1" -o "${2%:*}" -g "${2#*:}" "$3" "$4.new"
  mv -f "$4.new" "$4"
  changed=1
  echo "installed $4"
}

getent group countersign >/dev/null || groupadd --system countersign
getent group countersign-guard >/dev/null || groupadd --system countersign-guard
getent passwd countersign >/dev/null ||
  useradd --system --gid countersign --home-dir /nonexistent --no-create-home --shell /bin/sh --comment "Countersign sidecar" countersign
getent passwd countersign-guard >/dev/null ||
  useradd --system --gid countersign-guard --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin --comment "Countersign guard" countersign-guard

install -d -m 0755 /opt/countersign "/opt/countersign/$version" /usr/local/lib/countersign
install -d -m 1770 -o root -g countersign /etc/countersign
install -d -m 0750 -o root -g countersign "/etc/countersign/$version"
for name in countersign countersign-logging countersign-enforcing; do
  place 0755 root:root "$executables/$name" "/opt/countersign/$version/$name"
done
programs_changed=$changed
[ -e /opt/countersign/current ] || ln -s "$version" /opt/countersign/current
program=/usr/bin/countersign
if [ "$executables" != "$packaged" ]; then
  program=/usr/local/bin/countersign
  ln -sfn "/opt/countersign/$version/countersign" "$program"
  place 0755 root:root alarm /usr/local/lib/countersign/alarm
fi

# The guard watches once gate.json of countersign report --gate lies beside this.
install -d -m 0750 -o root -g countersign-guard /etc/countersign-guard
sed "s/@VERSION@/$version/g" guard.yaml >guard.versioned
place 0640 root:countersign-guard guard.versioned "/etc/countersign-guard/$version.yaml"
rm -f guard.versioned

# Running sidecars take these three by themselves.
place 0600 countersign:countersign keyring.json /etc/countersign/keyring.json
for folder in /etc/countersign/*/; do
  place 0640 root:countersign fleet.yaml "${folder}fleet.yaml"
  place 0640 root:countersign authorization.yaml "${folder}authorization.yaml"
done

changed=$programs_changed
place 0640 root:countersign sidecar.yaml "/etc/countersign/$version/sidecar.yaml"
for unit in units/*; do
  name=${unit#units/}
  # The package has the others itself, and brings new ones with a new version. Sockets are of this host.
  if [ "$executables" = "$packaged" ] && { [[ $name != *.socket ]] || cmp -s <(grep -v '^#' "$unit") <(grep -v '^#' "/usr/lib/systemd/system/$name"); }; then
    continue
  fi
  place 0644 root:root "$unit" "/etc/systemd/system/$name"
done
systemctl daemon-reload
systemctl enable --quiet --now countersign-way-back.timer countersign-guard-rollback.path countersign-guard-restart.path

serving=$(systemctl list-units --plain --no-legend --state=active 'countersign-logging@*' 'countersign-enforcing@*' | awk '{ print $1 }')
if [ -z "$serving" ]; then
  "$program" swap logging
elif [ "$changed" = 1 ]; then
  systemctl try-restart $serving
fi
echo "$SERVICE: $(systemctl list-units --plain --no-legend --state=active 'countersign-logging@*' 'countersign-enforcing@*' | awk '{ print $1 }') serves; its app calls others through http://127.0.0.1:$OUTBOUND"

#!/bin/sh
# A Docker Engine for the tests that need one, where none runs and no service manager would start it.
#   engine.sh start    have one answer: the one that runs already, else dockerd, started here (as root)
#   engine.sh stop     end the one that was started here, by its process id; another one is left alone
#   engine.sh status   say which one answers
#   engine.sh run COMMAND…   start, do it, stop what this call started
# Without root or dockerd it says that those tests will not run; with CI=true that is an error.
set -eu

home="${SMOS_STATE_DIR:-$(dirname "$0")/../../.smos}/engine"
patience=150 # times 0.2 seconds
started=''

answers() { docker version --format '{{.Server.Version}}' 2>/dev/null; }
# When a process began, or nothing: a process id alone may have been given to another one since.
birth() { [ -r "/proc/$1/stat" ] && sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20; }
ours() { [ -f "$home/pid" ] && read -r pid born <"$home/pid" && [ "$(birth "$pid")" = "$born" ]; }

missing() {
  if [ "${CI:-}" = true ]; then
    echo "No Docker Engine: $1" >&2
    exit 1
  fi
  echo "NO DOCKER ENGINE: $1. Tests on a VPS will be skipped." >&2
}

obstacle() {
  if [ -n "${DOCKER_HOST:-}" ]; then
    echo "$DOCKER_HOST (DOCKER_HOST) does not answer"
  elif ours; then
    echo "dockerd (pid $pid), started here before, does not answer; $home/log says why"
  elif ! command -v docker >/dev/null || ! command -v dockerd >/dev/null; then
    echo "none answers, and Docker is not installed here (Debian: apt-get install docker.io)"
  elif [ "$(id -u)" -ne 0 ]; then
    echo "none answers, and only root can start dockerd"
  fi
}

start() {
  if version=$(answers); then
    echo "Docker Engine $version answers" >&2
    return
  fi
  lacking=$(obstacle)
  if [ -n "$lacking" ]; then
    missing "$lacking"
    return
  fi
  mkdir -p "$home"
  # Not of this shell's session: it outlives the call, and Ctrl-C on the tests is not meant for it
  setsid dockerd >"$home/log" 2>&1 </dev/null &
  pid=$!
  echo "$pid $(birth "$pid")" >"$home/pid"
  waited=0
  until version=$(answers); do
    if [ "$waited" -ge "$patience" ] || ! ours; then
      tail -n 15 "$home/log" >&2
      stop
      missing "dockerd did not come up; $home/log says why"
      return
    fi
    sleep 0.2
    waited=$((waited + 1))
  done
  started=yes
  echo "Docker Engine $version was started (pid $pid)" >&2
}

stop() {
  if ours; then
    kill "$pid"
    waited=0
    while ours && [ "$waited" -lt "$patience" ]; do
      sleep 0.2
      waited=$((waited + 1))
    done
    if ours; then kill -9 "$pid"; fi
    echo "Docker Engine with pid $pid was stopped" >&2
  fi
  rm -f "$home/pid"
}

run() {
  start
  # Only what this call started: the file may be about one that somebody else counts on
  [ -z "$started" ] || trap stop EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  "$@"
}

case "${1:-start}" in
  start) start ;;
  stop) stop ;;
  status)
    version=$(answers) || { echo "no Docker Engine answers" >&2; exit 1; }
    echo "Docker Engine $version answers"
    ;;
  run) shift; run "$@" ;;
  *) echo "usage: $0 start|stop|status|run COMMAND…" >&2; exit 2 ;;
esac

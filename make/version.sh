#!/bin/sh
# version.sh release|revision|package|epoch: what this tree is. The release is ZO_VERSION of core/build.h.
#
#   release   0.9
#   revision  of git: 12 digits, "-dirty" behind them where files were changed; "unknown" outside git
#   package   0.9+20260131.g0123456789ab: as dpkg and pip (PEP 440) sort it, with the day of the commit; outside git the release alone
#   epoch     $SOURCE_DATE_EPOCH, else the commit's time, else that of core/build.h: what files in packages are dated with
set -eu
cd "$(dirname "$0")/.."
release() { sed -n 's/^#define ZO_VERSION "\([^"]*\)".*/\1/p' core/build.h; }
revision() { git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown; }
commit_time() { git log -1 --format=%ct 2>/dev/null; }
case ${1-} in
release) release ;;
revision) revision ;;
package)
    of=$(revision)
    if [ "$of" = unknown ]; then release; else echo "$(release)+$(date -u -d "@$(commit_time)" +%Y%m%d).g$(echo "$of" | tr - .)"; fi ;;
epoch) echo "${SOURCE_DATE_EPOCH:-$(commit_time || stat -c %Y core/build.h)}" ;;
*) echo 'version.sh: expected release, revision, package or epoch' >&2; exit 2 ;;
esac

# bare_root.sh: sourced by deb-check and wheel-check: a bare Debian 12 in a folder that goes when the script ends. It wants root, debootstrap and the
# network; what is absent is said, and the script ends well ("skipped:"). The bare system is kept in $BARE_ROOT (build/dist/bookworm.tar).
#
#   bare_root NAME   makes it: $root
#   as_root CMD, as_user CMD   a line of shell in it; the user is nobody, and its folder /srv/zo
bare_root() {
    : "${BARE_ROOT:=build/dist/bookworm.tar}"
    wants=$(bare_root_wants)
    [ -z "$wants" ] || { echo "skipped: $1, which wants $wants"; exit 0; }
    root=$(mktemp -d)
    trap 'umount "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT
    if [ -e "$BARE_ROOT" ]; then
        tar -C "$root" -xf "$BARE_ROOT"
    else
        debootstrap --variant=minbase bookworm "$root" http://deb.debian.org/debian >"$BARE_ROOT.log" 2>&1 || { tail -n 5 "$BARE_ROOT.log" >&2; exit 1; }
        tar -C "$root" -cf "$BARE_ROOT.part" . && mv "$BARE_ROOT.part" "$BARE_ROOT"
    fi
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    mount -t proc proc "$root/proc"
    mkdir -p "$root/srv/zo"
    chown nobody "$root/srv/zo"
    as_root 'apt-get -qq update' || { echo "skipped: $1, which wants the package lists of deb.debian.org"; exit 0; }
}
bare_root_wants() {
    if [ "$(id -u)" != 0 ]; then
        echo 'root, for chroot'
    elif ! command -v debootstrap >/dev/null && [ ! -e "${BARE_ROOT:-build/dist/bookworm.tar}" ]; then
        echo debootstrap
    fi
}
in_root() { # USER LINE
    chroot --userspec="$1" "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv/zo LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        sh -euc "cd /srv/zo; $2"
}
as_root() { in_root root "$1"; }
as_user() { in_root nobody "$1"; }
install_in_root() { as_root "apt-get -qq install -y $* >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }"; }

# The short demo, whose pictures must be there: as many PNG, SVG and PDF files as it says, and more than a few.
demo_in_root() { # PROGRAM
    as_user "$1 demo --short >demo.log 2>&1 || { tail -n 20 demo.log; exit 1; }"
    said=$(sed -n 's/^\([0-9]*\) plots in .*/\1/p' "$root/srv/zo/demo.log")
    for form in png svg pdf; do
        drawn=$(find "$root/srv/zo/results/demo-short" -name "*.$form" -size +1k | wc -l)
        [ "${said:-0}" -gt 5 ] && [ "$drawn" = "$said" ] || { echo "the demo says ${said:-no} plots, and there are $drawn as $form" >&2; exit 1; }
    done
}
# Packing again, when the files' times and the umask are others, must give the same bytes.
same_bytes() { # FILE COMMAND
    before=$(sha256sum <"$1")
    find "build/dist/zo-$(make/version.sh release)-$(make/version.sh revision)-x86_64" -exec touch -h -d '2001-02-03 04:05:06' {} +
    (umask 077 && "$2" >/dev/null)
    [ "$before" = "$(sha256sum <"$1")" ] || { echo "$2 made other bytes of the same files" >&2; exit 1; }
}

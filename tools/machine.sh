#!/bin/bash
# Minimal Debian machines in folders, for scripts that source this. They need root.
#
#   machine_alone NAME "$@"     run the script again in a mount namespace of its own, so that mounts
#                               vanish with it however it ends; NAME is what messages begin with
#   machine_make SUITE PACKAGES a machine with these packages (commas between); sets $machine, its
#                               folder, which goes when the script ends
#   machine_mount               /proc, /dev and an empty /tmp for it
#   machine_run COMMAND...      as root in it, with nothing of this machine's environment
#   machine_drop                remove it now

machine=""
machine_name=machine

machine_alone() {
    machine_name=$1
    shift
    if [ "$(id -u)" != 0 ]; then
        echo "$machine_name: needs root" >&2
        exit 1
    fi
    if [ "${MACHINE_NAMESPACE:-}" != yes ]; then
        MACHINE_NAMESPACE=yes exec unshare --mount --propagation private "$0" "$@"
    fi
}

# The mirror that this machine uses for Debian's main archive; it has all suites.
machine_mirror() {
    local mirror
    mirror=$(apt-get indextargets --format '$(SITE) $(COMPONENT)' 'Created-By: Packages' |
        awk '$2 == "main" && !/security/ { print $1; exit }')
    if [ -z "$mirror" ]; then
        echo "$machine_name: apt knows no mirror of Debian" >&2
        return 1
    fi
    echo "$mirror"
}

# Only mounts under the folder are undone, deepest first; nothing is removed while one remains.
machine_drop() {
    [ -n "$machine" ] || return 0
    awk -v root="$machine/" 'index($2, root) == 1 { print $2 }' /proc/self/mounts | sort -r |
        while read -r mount; do umount "$mount" || umount -l "$mount"; done
    if ! awk -v root="$machine/" 'index($2, root) == 1 { found = 1 } END { exit !found }' \
        /proc/self/mounts; then
        rm -rf --one-file-system "$machine"
    fi
    machine=""
}

machine_make() {
    local suite=$1 packages=$2 mirror
    mirror=$(machine_mirror) || return 1
    machine=$(mktemp -d /var/tmp/opiml-machine-XXXXXX)
    trap machine_drop EXIT
    trap 'exit 130' INT TERM
    chmod 755 "$machine" # apt downloads as a user of its own

    echo "$machine_name: installing Debian ($suite, minbase) into $machine"
    if ! debootstrap --variant=minbase --include="$packages" "$suite" "$machine" "$mirror" \
        >"$machine.log" 2>&1; then
        tail -n 20 "$machine.log" >&2
        rm -f "$machine.log"
        return 1
    fi
    rm -f "$machine.log"
    # The way to the mirror is this machine's: names, proxies and certificates.
    cp /etc/resolv.conf /etc/hosts "$machine/etc/"
    cp -r /usr/local/share/ca-certificates/. "$machine/usr/local/share/ca-certificates/" 2>/dev/null || true
    chroot "$machine" update-ca-certificates >/dev/null 2>&1 || true
    apt-config dump | grep -iE '^Acquire::https?::Proxy' >"$machine/etc/apt/apt.conf.d/proxy" || true
}

machine_mount() {
    mount -t proc proc "$machine/proc"
    mount --rbind /dev "$machine/dev"
    mount -t tmpfs tmpfs "$machine/tmp"
}

machine_run() {
    chroot "$machine" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-dumb}" \
        DEBIAN_FRONTEND=noninteractive http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
        "$@" </dev/null
}

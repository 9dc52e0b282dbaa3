#!/bin/bash
# Docker Engine or podman of another Debian beside us, until standard input ends:
#
#   peers.sh ROOT SEEN FOLDER docker|podman [FLAG]...
#
# ROOT holds that Debian; nothing is written into it. Of the machine's files the engine sees SEEN alone, under the same path. FOLDER
# lies beneath it and holds all that the engine keeps, its socket `docker.sock`, the time of its exec (`begun`, in ns) and the
# number of the process (`pid`) whose namespaces are its own: mounts, processes, cgroups. They go with it: the first process of a
# process namespace takes all others and the mounts along, the cgroups are removed here. The network is the caller's.
set -eu

# The folders that are hierarchies of cgroups: several of version 1 or one of version 2. The one of version 2 beside version 1
# is none: crun refuses a machine that has both.
hierarchies() {
    if [[ -e /sys/fs/cgroup/cgroup.procs ]]; then
        echo /sys/fs/cgroup
        return
    fi
    for file in /sys/fs/cgroup/*/cgroup.procs; do
        [[ ! -e $file || $file == */unified/* || -L ${file%/*} ]] || echo "${file%/cgroup.procs}"
    done
}

# All that has a namespace of its own but the mounts, as its first process.
own_mounts() {
    local place=$folder/.peer
    mkdir -p "$place" "$folder/tmp"
    mount -t tmpfs tmpfs "$place"
    mkdir "$place"/{upper,work,root}
    mount -t overlay -o "lowerdir=$root,upperdir=$place/upper,workdir=$place/work" overlay "$place/root"
    cd "$place/root"
    mkdir -p ".$seen"
    mount --bind "$seen" ".$seen"
    mount --bind "$folder/tmp" var/tmp
    mount --bind /dev dev
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
    mount -t tmpfs tmpfs dev/shm
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount -t tmpfs tmpfs run
    cgroups
    pivot_root . mnt
    umount -l /mnt
}

# The hierarchies as they are from its own group on.
cgroups() {
    if [[ -e /sys/fs/cgroup/cgroup.procs ]]; then
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        # Whose children are to be limited holds no process itself.
        mkdir sys/fs/cgroup/init
        echo 1 >sys/fs/cgroup/init/cgroup.procs
        sed 's/\</+/g' sys/fs/cgroup/cgroup.controllers >sys/fs/cgroup/cgroup.subtree_control
        return
    fi
    mount -t tmpfs tmpfs sys/fs/cgroup
    local names
    while IFS=: read -r _ names _; do
        local at=sys/fs/cgroup/${names#name=}
        [[ -n $names && -d /sys/fs/cgroup/${names#name=} ]] || continue
        mkdir -p "$at"
        [[ $names != name=* ]] || names=none,$names
        mount -t cgroup -o "$names" cgroup "$at"
    done </proc/self/cgroup
}

# Containers must not want more than a machine gives whose root may not raise limits.
docker() {
    date +%s%N >"$folder/begun"
    exec dockerd --host "unix://$folder/docker.sock" --data-root "$folder/data" --exec-root /run/docker \
        --pidfile /run/docker.pid --default-ulimit "nofile=$(ulimit -Hn)" "$@"
}

podman() {
    cat >/etc/containers/containers.conf <<END
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=$(ulimit -Hu):$(ulimit -Hu)"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
END
    cat >/etc/containers/storage.conf <<END
[storage]
driver = "overlay"
graphroot = "$folder/data"
runroot = "/run/containers/storage"
END
    # Otherwise it takes a start on older data for one after a reboot, and looks at each container.
    [[ ! -e $folder/data ]] || install -D /dev/null /run/libpod/alive
    date +%s%N >"$folder/begun"
    exec podman "$@" system service --time 0 "unix://$folder/docker.sock"
}

case $1 in
joined)
    shift
    group=$1
    for hierarchy in $(hierarchies); do
        echo 0 >"$hierarchy/$group/cgroup.procs"
    done
    shift
    exec unshare --cgroup "$BASH" "$0" inside "$@"
    ;;
inside)
    root=$2 seen=$3 folder=$4 engine=$5
    shift 5
    exec 3<&0 </dev/null
    rm -f "$folder/docker.sock" "$folder/begun"
    read -r pid _ </proc/self/stat
    echo "$pid" >"$folder/pid"
    own_mounts
    export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=$folder/tmp
    cd /
    cat <&3 >/dev/null &
    "$engine" "$@" 3<&- &
    wait -n
    exit
    ;;
esac

group=longshore-peer-$$
for hierarchy in $(hierarchies); do
    mkdir "$hierarchy/$group"
    # A new group of cpuset (version 1) has neither processors nor memory.
    for file in cpuset.cpus cpuset.mems; do
        [[ ! -e $hierarchy/$file ]] || cat "$hierarchy/$file" >"$hierarchy/$group/$file"
    done
done
status=0
unshare --mount --pid --fork --kill-child "$BASH" "$0" joined "$group" "$@" || status=$?
for hierarchy in $(hierarchies); do
    # The kernel may still be busy with the last of its processes.
    for _ in {1..100}; do
        ! find "$hierarchy/$group" -depth -type d -exec rmdir {} + 2>/dev/null || break
        sleep 0.1
    done
    [[ ! -e $hierarchy/$group ]]
done
exit $status

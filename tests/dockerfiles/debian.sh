#!/bin/sh
# debian.sh OUT CACHE: root file systems of Debian's packages, as tars for `docker import`: OUT/base.tar (shell and small tools),
# OUT/toolchain.tar (with a C compiler), OUT/python.tar (with Python and pip). Packages are kept in CACHE.
set -eu
out=$1 cache=$2
mkdir -p "$out" "$cache/partial"
packages="base-files busybox-static dash libc6 tcc musl-dev python3-minimal libpython3-stdlib python3-pip-whl"

# As if nothing was installed yet, so that what they depend on comes along.
download() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -q -o Dir::State::status=/dev/null -o Debug::NoLocking=1 \
        -o APT::Sandbox::User=root -o Dir::Cache::archives="$cache" --no-install-recommends --allow-downgrades -y "$@" install $packages
}
if [ ! -e "$cache/complete" ]; then
    download -d || { apt-get -q -q update && download -d; }
    touch "$cache/complete"
fi

# unpack ROOT PACKAGE...: each package whose name matches one of the patterns
unpack() {
    root=$1; shift
    for pattern; do
        for package in "$cache"/${pattern}_*.deb; do
            dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root" \
                --exclude './usr/share/doc/*' --exclude './usr/share/man/*' --exclude './usr/share/locale/*' --exclude './usr/share/lintian/*'
        done
    done
}
pack() {
    tar --numeric-owner --owner=0 --group=0 --sort=name -C "$1" -cf "$out/$(basename "$1").tar" .
    rm -r "$1"
}

base=$out/base
rm -rf "$base"
mkdir -p "$base"/usr/bin "$base"/usr/local/bin "$base"/usr/sbin "$base"/usr/lib "$base"/usr/lib64 "$base"/etc "$base"/dev "$base"/proc "$base"/sys
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$base/$folder"; done
unpack "$base" base-files libc6 libgcc-s1 dash busybox-static
for applet in $("$base/usr/bin/busybox" --list); do
    [ -e "$base/usr/bin/$applet" ] || ln -s busybox "$base/usr/bin/$applet"
done
mkdir -p -m 1777 "$base/tmp"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' > "$base/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$base/etc/group"

cp -a "$base" "$out/toolchain"
unpack "$out/toolchain" tcc musl musl-dev
cat > "$out/toolchain/usr/bin/cc" <<'CC'
#!/bin/sh
# A C compiler for static programs: `cc [-c] [-o FILE] FILE...`
set -eu
libraries=$(dirname "$(ls /usr/lib/*-linux-musl/libc.a)")
headers=$(ls -d /usr/include/*-linux-musl)
case " $* " in
    *" -c "*) exec tcc -nostdinc -I"$headers" "$@" ;;
    *) exec tcc -static -nostdlib -nostdinc -I"$headers" "$libraries/crt1.o" "$libraries/crti.o" "$@" "$libraries/libc.a" "$libraries/crtn.o" ;;
esac
CC
chmod +x "$out/toolchain/usr/bin/cc"
pack "$out/toolchain"

cp -a "$base" "$out/python"
unpack "$out/python" 'python3*' 'libpython3*' zlib1g libexpat1 'libssl3*' 'libffi8*' libbz2-1.0 'liblzma5*' 'libuuid1*'
pack "$out/python"
pack "$base"

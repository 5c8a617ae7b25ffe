#!/usr/bin/env bash
# Builds one kernel: puts a source tree into the state that a series wants, and compiles only what that changes.
#
#   build.sh SOURCE OBJECTS SUFFIX OUT CONFIGS [PATCH...]
#
# SOURCE   a kernel source tree; it is patched in place
# OBJECTS  its object tree, made on the first call
# SUFFIX   ends the release (uname -r)
# OUT      directory for bzImage, vmlinux and the configuration
# CONFIGS  fragments merged over tinyconfig, separated by ':'
set -euo pipefail
source=$1 objects=$2 suffix=$3 out=$4 configs=$5
shift 5
mkdir -p "$objects"
# One build at a time: the variants of a version share their tree.
exec 9> "$source/.lock"
flock 9

# Files of the series before are put back only where they differ, so that make sees no more change than there is.
pristine=$source/.pristine next=$(mktemp -d)
trap 'rm -rf "$next"' EXIT
mkdir -p "$pristine"
touched=$(cat "$@" /dev/null | sed -n 's,^[-+][-+][-+] [ab]/\([^\t]*\).*,\1,p')
for file in $touched $(cd "$pristine" && find . -type f); do
  file=${file#./}
  [ -e "$source/$file" ] || continue
  mkdir -p "$next/$(dirname "$file")" "$pristine/$(dirname "$file")"
  [ -e "$pristine/$file" ] || cp -p "$source/$file" "$pristine/$file"
  cp "$pristine/$file" "$next/$file"
done
for patch in "$@"; do patch -s -p1 -d "$next" < "$patch"; done
(cd "$next" && find . -type f) | while read -r file; do
  cmp -s "$next/$file" "$source/$file" || { mkdir -p "$(dirname "$source/$file")"; cp "$next/$file" "$source/$file"; }
done

export KBUILD_BUILD_USER=vmcopy KBUILD_BUILD_HOST=lab KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970'
make="make -s -C $source O=$objects"
if [ ! -e "$objects/.config" ]; then
  $make tinyconfig
  "$source/scripts/kconfig/merge_config.sh" -O "$objects" -m "$objects/.config" ${configs//:/ } > "$objects/merge.log"
  $make olddefconfig
fi
$make -j"$(nproc)" LOCALVERSION="$suffix" bzImage 2> "$objects/errors.log" || { tail -n 20 "$objects/errors.log" >&2; exit 1; }
mkdir -p "$out"
cp "$objects/arch/x86/boot/bzImage" "$objects/vmlinux" "$out"
cp "$objects/.config" "$out/config"

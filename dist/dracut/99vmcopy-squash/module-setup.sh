#!/bin/bash
# dracut module: as vmcopy, with the program in a squashfs image, so that it lies compressed in the capture kernel's
# memory: half the size. The image is mounted when the capture begins (kernel modules loop and squashfs).
#
#   dracut --add vmcopy-squash /boot/initramfs-kdump.img
#
# For an initramfs that is not in an image already: where dracut's own squash or erofs modules pack all of it, vmcopy is in
# there too. dracut's --squash-compressor chooses how it is packed; zstd unless told.

# called by dracut
check() {
    if [[ ${IN_KDUMP-} == 1 ]]; then
        derror "vmcopy-squash: kdump-utils calls vmcopy by itself, and its initramfs is packed already: add vmcopy instead"
        return 1
    fi
    require_binaries vmcopy mksquashfs || return 1
    # Only where it is asked for.
    return 255
}

# called by dracut
depends() {
    echo vmcopy
    return 0
}

# called by dracut
installkernel() {
    if ! hostonly='' instmods -c loop squashfs; then
        # shellcheck disable=SC2154
        dfatal "vmcopy-squash: the kernel $kernel has no loop or no squashfs: add vmcopy instead"
        exit 1
    fi
}

# called by dracut
install() {
    # shellcheck disable=SC2154
    local _program="$initdir/usr/bin/vmcopy" _directory="$initdir/usr/lib/vmcopy"
    local _compressor=(-comp zstd -Xcompression-level 19)
    # The user's words may be more than one argument.
    # shellcheck disable=SC2154,SC2206
    [[ ${squash_compress-} ]] && _compressor=(-comp $squash_compress)
    inst_binary vmcopy /usr/bin/vmcopy
    mkdir -p "$_directory"
    if ! mksquashfs "$_program" "$_directory/vmcopy.squashfs" -noappend -no-progress -all-root "${_compressor[@]}" > /dev/null; then
        dfatal "vmcopy-squash: mksquashfs made no image of vmcopy"
        exit 1
    fi
    rm -f -- "$_program"
}

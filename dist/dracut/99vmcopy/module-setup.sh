#!/bin/bash
# dracut module: vmcopy in the initramfs, and `vmcopy capture` as all that a kernel started by kdump has to do.
#
#   dracut --add vmcopy /boot/initramfs-kdump.img
#
# What is captured where is said in /etc/vmcopy.toml, which goes along, or on the capture kernel's command line
# (vmcopy.to=/dev/vdb:/crash). In a kernel that kdump did not start, nothing happens.
#
# dracut waits for devices as for a root device (rd.retry=SECONDS). A host-only initramfs gets the drivers of the disk
# that /etc/vmcopy.toml names; of LVM, LUKS, RAID and network targets dracut has to know: --add-device, --mount.
#
# In an initramfs of kdump-utils (its module kdumpbase), vmcopy is a program and no more: kdump.conf says what is done
# with it. vmcopy_links="makedumpfile vmcore-dmesg" in a dracut.conf.d file puts links of these names in, in place of the
# programs.

# called by dracut
check() {
    require_binaries vmcopy || return 1
    # mkdumprd names no modules to add: whoever wants vmcopy there has said so elsewhere.
    if [[ ${IN_KDUMP-} == 1 ]]; then
        [[ ${vmcopy_links-} ]] && return 0
        grep -qsE '^[[:space:]]*core_collector[[:space:]]+(/\S*/)?vmcopy\b' "${dracutsysrootdir-}/etc/kdump.conf" && return 0
    fi
    # Only where it is asked for.
    return 255
}

# called by dracut
depends() {
    dracut_module_included kdumpbase && return 0
    echo base udev-rules
    # A module of its own in newer versions.
    [[ -d $(dracut_module_path initqueue) ]] && echo initqueue
    return 0
}

# called by dracut for a device and those below it
vmcopy_drivers() {
    # shellcheck disable=SC2046
    hostonly='' instmods $(get_dev_module "/dev/block/$1") $(get_blockdev_drv_through_sys "/sys/dev/block/$1")
}

# called by dracut
installkernel() {
    local _device _type
    # Without hostonly all drivers are there.
    [[ ${hostonly-} ]] || return 0
    dracut_module_included kdumpbase && return 0
    # shellcheck disable=SC2154
    _device=$("$moddir/vmcopy-kdump" configured "${dracutsysrootdir-}/etc/vmcopy.toml")
    if [[ -b $_device ]]; then
        _type=$(get_fs_env "$_device") || _type=$(find_dev_fstype "$_device")
        # ext4, xfs and btrfs ask for crc32c when they are mounted.
        [[ $_type ]] && hostonly='' instmods "$_type" crc32c
        check_block_and_slaves_all vmcopy_drivers "$(get_maj_min "$_device")"
    else
        dwarn "vmcopy: /etc/vmcopy.toml names no disk of this machine: the drivers of the one that is captured to have to be asked for (--add-device, --add-drivers)"
    fi
    return 0
}

# called by dracut
install() {
    local _link _dir
    # strip(1) leaves it alone: it has no section headers.
    dracut_module_included vmcopy-squash || inst_binary vmcopy /usr/bin/vmcopy
    # shellcheck disable=SC2154
    for _link in ${vmcopy_links-}; do
        for _dir in usr/bin usr/sbin bin sbin; do
            [[ -d $initdir/$_dir && ! -L $initdir/$_dir ]] || continue
            ln -sfn /usr/bin/vmcopy "$initdir/$_dir/$_link"
        done
    done
    dracut_module_included kdumpbase && return 0

    inst_multiple mkdir mount sync modprobe
    # shellcheck disable=SC2154
    inst_script "$moddir/vmcopy-kdump" /usr/bin/vmcopy-kdump
    inst_multiple -o /etc/vmcopy.toml
    inst_hook cmdline 99 "$moddir/vmcopy-cmdline.sh"
    inst_hook initqueue/settled 99 "$moddir/vmcopy-device.sh"
    inst_hook initqueue/timeout 10 "$moddir/vmcopy-last.sh"
    inst_hook pre-pivot 99 "$moddir/vmcopy-last.sh"
    inst_hook emergency 10 "$moddir/vmcopy-last.sh"
    inst_hook shutdown-emergency 10 "$moddir/vmcopy-last.sh"
    dracut_need_initqueue
}

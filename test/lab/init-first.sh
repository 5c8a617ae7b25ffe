#!/bin/busybox sh
# PID 1 of the kernel that is going to crash: loads the capture kernel, works a while if told to, and crashes.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
echo "LAB: init1"

fail() { echo "LAB: failed: $*"; poweroff -f; }

[ "$(cat /sys/kernel/kexec_crash_size)" -gt 0 ] || fail "no memory was reserved for the capture kernel"
while read -r module; do insmod "/modules/$module" || fail "insmod $module"; done < /modules/order
mount -o ro /dev/vda /in || fail "mount the disk with the capture kernel"
if [ -e /arm ]; then
  sh /arm || fail "the script that loads the capture kernel"
else
  # Where there is too little memory here to read the image, or reserved to put it, kexec's words alone do not tell.
  kexec -s -p /in/vmlinuz --initrd=/in/initrd --command-line="$(cat /capture-command-line)" 2> /tmp/errors ||
    fail "kexec: $(cat /tmp/errors) ($(awk '/^MemFree/ { print int($2 / 1024) }' /proc/meminfo) MiB free," \
      "$(($(cat /sys/kernel/kexec_crash_size) >> 20)) MiB reserved, capture image $(($(stat -c %s /in/initrd) >> 20)) MiB)"
fi
umount /in
echo "LAB: loaded"

if [ -e /workload ]; then sh /workload || fail "the workload"; fi
echo c > /proc/sysrq-trigger

#!/bin/busybox sh
# PID 1 of the capture kernel: finds /proc/vmcore and the disk for the results, runs /capture, powers off.
export PATH=/bin HOME=/
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
echo "LAB: init2"

fail() { echo "LAB: failed: $*"; poweroff -f; }

while read -r module; do insmod "/modules/$module" || fail "insmod $module"; done < /modules/order
[ -e /proc/vmcore ] || fail "there is no /proc/vmcore"
mount /dev/vdb /out || fail "mount the disk for the results"
if [ ! -e /bin/vmcopy ]; then mount -o ro /dev/vda /in || fail "mount the disk with vmcopy"; export PATH=/bin:/in; fi

cd /out
sh /capture
echo $? > /out/exit-code
cd /
sync
umount /out
echo "LAB: done"
poweroff -f

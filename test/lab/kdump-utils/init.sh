#!/bin/busybox sh
# PID 1 of the capture kernel, in the place of systemd: mounts what systemd would have mounted, runs kdump.sh as
# kdump-capture.service does, and where that fails kdump.sh --error-handler as emergency.service does.
export PATH=/bin:/sbin HOME=/
# The loader is for this machine's programs: no other runs before.
busybox chmod 755 /lib64/* /kdumpscripts/*
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /run/initramfs /sbin /var/lib /target /tmp /lab
while read -r module; do insmod "/modules/$module"; done < /modules/order
ln -sf bash /bin/sh
ln -s ../bin/vmcopy /sbin/makedumpfile
ln -s ../bin/vmcopy /sbin/vmcore-dmesg
ln -s ../bin/ip /sbin/ip
ip link set lo up
head -c 256 /dev/urandom > /var/lib/random-seed
syslogd -O /run/messages
echo "LAB: init2"

# With rd.debug on the command line the scripts trace themselves. systemctl does not come back from its last word.
export DRACUT_SYSTEMD=1 NEWROOT=/sysroot
kdump.sh < /dev/null 2> /run/trace
echo "kdump.sh: exit code $?" > /run/ending
kdump.sh --error-handler < /dev/null 2>> /run/trace
echo "LAB: failed: kdump.sh came back from its final action"
poweroff -f

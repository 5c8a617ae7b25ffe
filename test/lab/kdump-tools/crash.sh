# In the first kernel: what kdump-tools says of itself, then the crash.
kdump-config show > /var/lib/lab/show 2>&1
sync
if [ "$(cat /sys/kernel/kexec_crash_loaded)" != 1 ]; then
  echo "LAB: failed: kdump-tools loaded no capture kernel"
  poweroff -f
fi
echo "LAB: loaded"
sleep 1
echo 1 > /proc/sys/kernel/sysrq
echo c > /proc/sysrq-trigger

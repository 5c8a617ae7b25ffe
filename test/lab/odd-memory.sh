# Memory that is neither plain nor free, for kernels that can have it: a block offline, huge pages, a poisoned page,
# pages of a balloon.
mount -t debugfs debug /sys/kernel/debug
said() { echo "LAB: $*"; }
blocks=$(ls -d /sys/devices/system/memory/memory* | sort -V -r)
for block in $blocks; do
  # The lowest are the kernel's own, and the crash kernel's.
  [ "${block##*memory}" -ge 2 ] || break
  if echo offline > "$block/state" 2> /dev/null; then said "offline ${block##*memory}"; break; fi
done
echo 24 > /proc/sys/vm/nr_hugepages
said "huge pages $(cat /proc/sys/vm/nr_hugepages)"
# A free page that is given up for bad.
echo 0x18000 > /sys/kernel/debug/hwpoison/corrupt-pfn && said "poisoned 0x18000"
# The host has begun to take 64 MiB back by the balloon when this kernel started; it takes no second.
sleep 3

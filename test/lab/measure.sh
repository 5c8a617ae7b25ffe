# In the capture kernel: vmcopy and dd in turn on the real /proc/vmcore. Times are of whole processes, in seconds.
export NO_COLOR=1
now() { read -r up _ < /proc/uptime; echo "$up"; }
timed() {
  name=$1; shift
  start=$(now)
  "$@" > /dev/null 2> /tmp/errors || { cat /tmp/errors; exit 1; }
  echo "$name $start $(now)" >> /out/times
}
copy_to_disk() { vmcopy copy -q --force /proc/vmcore /out/dump; }

# Once unmeasured: the first run of each pays for what later ones find in place.
vmcopy copy -q /proc/vmcore /dev/null || exit 1
for _ in 1 2 3; do
  timed dd dd if=/proc/vmcore of=/dev/null bs=1M
  timed null vmcopy copy -q /proc/vmcore /dev/null
  timed disk copy_to_disk
  timed dd_disk dd if=/proc/vmcore of=/out/dd bs=1M conv=fsync
  rm /out/dump /out/dd
done
vmcopy bench --json --bytes 128M --modes read,touch --map-sizes 4M > /out/bench.json

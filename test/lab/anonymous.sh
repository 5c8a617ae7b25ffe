# In the capture kernel: the most anonymous memory of `vmcopy copy` and of `vmcopy capture`, in turn, as seen from
# outside. One line a run in /out/anonymous: its name and kB.
export NO_COLOR=1
peak() {
  name=$1; shift
  "$@" > /out/$name.log 2>&1 &
  pid=$!
  most=0
  while kill -0 $pid 2> /dev/null; do
    now=$(awk '/^RssAnon/ { print $2 }' /proc/$pid/status 2> /dev/null)
    [ "${now:-0}" -gt "$most" ] && most=$now
    usleep 50000
  done
  wait $pid || { cat /out/$name.log; exit 1; }
  echo "$name $most" >> /out/anonymous
}
for round in 1 2 3; do
  peak copy vmcopy copy -q --force -d 31 -c zstd /proc/vmcore /out/dump
  peak capture vmcopy capture -q --to /out/crash --name $round
done

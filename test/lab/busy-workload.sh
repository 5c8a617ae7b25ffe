# Fills the first kernel's memory the way work does, before it crashes: page cache from the files of /dev/vdc, shared
# memory from copies on a tmpfs, anonymous memory of programs that are still running, free pages full of old data.
mkdir /files /shm
mount -o ro /dev/vdc /files || exit 1
mount -t tmpfs -o size=80% tmpfs /shm || exit 1
# take PERCENT NAME: a file of that share of memory. From the disk itself: through pipes it would take minutes.
take() {
  count=$(awk -v percent="$1" '/^MemTotal/ { print int($2 / 1024 * percent / 100) }' /proc/meminfo)
  dd if=/dev/vdc of="/shm/$2" bs=1M count="$count" skip="$3" 2> /dev/null
}

# Page cache: all the files, read once.
find /files -type f -exec cat {} + > /dev/null

# Shared memory: text in three shapes, and whatever the disk holds.
take 5 sample 100
strings -n 8 /shm/sample > /shm/text
nl /shm/text > /shm/numbered
rev /shm/text > /shm/reversed
take 6 data 0

# Programs that hold much of it once more in their own memory, and are at it when the machine dies.
sort /shm/text /shm/numbered /shm/reversed | (read -r _; touch /sort-ready; sleep 9999) &
(held=$(cat /shm/sample); touch /shell-ready; sleep 9999; echo "$held") &
while [ ! -e /sort-ready ] || [ ! -e /shell-ready ]; do sleep 1; done

# Free pages: a file that is gone again.
take 4 gone 300
rm /shm/gone
free -m
exit 0

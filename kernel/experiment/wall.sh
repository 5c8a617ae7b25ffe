# In the capture kernel: what the experiment measures by the clock. figures.ts reads what is left in /out.
export NO_COLOR=1
# Where nothing can be mapped, bench says so and ends with 2: the figures are then those of read alone.
bench() {
  name=$1; shift
  vmcopy bench --json -q "$@" > "/out/$name.json"
  [ $? -le 2 ] || exit 1
}
each() { name=$1; shift; vmcopy "$@" >> "/out/$name.jsonl" || exit 1; }

bench bench --bytes "$BYTES" --repeat "$REPEAT" --read-sizes 4K..1M --map-sizes 4K..64M
bench tables --modes touch --repeat 1 --map-sizes 1M..512M

# Once unmeasured: the first run pays for what later ones find in place.
vmcopy copy -q /proc/vmcore /dev/null || exit 1
for _ in $(seq "$REPEAT"); do
  each null copy --json -q /proc/vmcore /dev/null
  each disk copy --json -q --force /proc/vmcore /out/dump
  each source verify --json -q /out/dump /proc/vmcore
  each manifest verify --json -q /out/dump
done
rm /out/dump

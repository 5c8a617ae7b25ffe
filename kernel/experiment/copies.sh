# Behind bench.sh, by the clock: page tables of all windows, then copies and verifications of the whole /proc/vmcore.
bench tables --modes touch --repeat 1 --map-sizes 1M..512M

each() { name=$1; shift; vmcopy "$@" >> "/out/$name.jsonl" || exit 1; }
# Once unmeasured: the first run pays for what later ones find in place.
vmcopy copy -q /proc/vmcore /dev/null || exit 1
for _ in $(seq "$COPIES"); do
  each null copy --json -q /proc/vmcore /dev/null
  each disk copy --json -q --force /proc/vmcore /out/dump
  each source verify --json -q /out/dump /proc/vmcore
  each manifest verify --json -q /out/dump
done
rm /out/dump

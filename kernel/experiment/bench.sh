# In the capture kernel: all rows of the benchmark, small windows over few bytes, large ones over more.
# figures.ts reads what is left in /out.
export NO_COLOR=1
# Where nothing can be mapped, bench says so and ends with 2: the figures are then those of read alone.
bench() {
  name=$1; shift
  vmcopy bench --json -q "$@" > "/out/$name.json"
  [ $? -le 2 ] || exit 1
}

bench small --repeat "$REPEAT" --bytes "$SMALL" --read-sizes 4K..1M --map-sizes 4K..1M
bench large --repeat "$REPEAT" --bytes "$LARGE" --modes map,touch,copy --map-sizes 2M..64M

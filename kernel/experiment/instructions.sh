# In the capture kernel of a machine on which an instruction takes a nanosecond: what the experiment counts. Fewer
# bytes do, for counts are exact: small windows over few of them, large ones over more. figures.ts reads /out.
export NO_COLOR=1
bench() {
  name=$1; shift
  vmcopy bench --json -q --repeat "$REPEAT" "$@" > "/out/$name.json"
  [ $? -le 2 ] || exit 1
}

bench small --bytes "$SMALL" --read-sizes 4K..1M --map-sizes 4K..1M
bench large --bytes "$LARGE" --modes map,touch,copy --map-sizes 2M..64M

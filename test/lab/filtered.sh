# In the capture kernel of a busy machine: filtered dumps of the real /proc/vmcore, and dd of all of it beside them.
export NO_COLOR=1
step() {
  name=$1; shift
  "$@" > "/out/$name.json" 2> "/out/$name.err"
  echo $? > "/out/$name.code"
}
stat -c %s /proc/vmcore > /out/size
step dmesg vmcopy dmesg
step filtered vmcopy copy --json -d 31 -c zstd /proc/vmcore /out/dump31
step workers vmcopy copy --json -d 31 -c lzo -j 2 /proc/vmcore /out/dump31.lzo
step verify vmcopy verify --json /out/dump31
step verify-source vmcopy verify --json /out/dump31 /proc/vmcore
step read vmcopy copy --json --read -d 31 -c zstd --dry-run /proc/vmcore /out/none
step dd dd if=/proc/vmcore of=/dev/vdd bs=1M
exit 0

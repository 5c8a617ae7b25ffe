# In the capture kernel of a busy machine: filtered dumps of the real /proc/vmcore, by vmcopy and as the other programs
# that it can be, and dd of all of it beside them.
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
for name in makedumpfile vmcore-dmesg; do ln -s "$(command -v vmcopy)" /bin/$name; done
step vmcore-dmesg vmcore-dmesg /proc/vmcore
step makedumpfile makedumpfile -l --message-level 22 -d 31 --num-threads=2 /proc/vmcore /out/named
step stream sh -c 'makedumpfile -F -c -d 31 --message-level 4 /proc/vmcore | makedumpfile -R /out/named-R'
step dd dd if=/proc/vmcore of=/dev/vdd bs=1M
exit 0

# In the capture kernel: every command on the real /proc/vmcore, and dd beside them. capture.test.ts reads what is left
# in /out. Usage: sh capture.sh [all|small]
export NO_COLOR=1
step() {
  name=$1; shift
  "$@" > "/out/$name.json" 2> "/out/$name.err"
  echo $? > "/out/$name.code"
}

find / -xdev -type f -perm -100 > /out/programs
ls -l /proc/vmcore > /out/ls
stat -c %s /proc/vmcore > /out/size
step version vmcopy --version
step info vmcopy info --json
step copy vmcopy copy --json --sha256 /out/dump
step verify-source vmcopy verify --json /out/dump /proc/vmcore
step verify-manifest vmcopy verify --json /out/dump
[ "$1" = small ] && exit 0

step probe vmcopy probe --json
step bench vmcopy bench --json --bytes 32M --map-sizes 4K..4M --repeat 1
step to-null vmcopy copy --json /proc/vmcore /dev/null
step to-pipe sh -c 'vmcopy copy -q /proc/vmcore | head -c 67108864 | sha256sum'
step dd-head sh -c 'dd if=/proc/vmcore bs=1M count=64 | sha256sum'
# To a disk of its own, which the host reads as a file.
step dd dd if=/proc/vmcore of=/dev/vdc bs=1M
exit 0

#!/bin/sh
# In a kernel that kdump started, with a device to capture to: dracut waits for the capture, and needs no root device.

vmcopy_to=$(vmcopy-kdump target)
if [ -n "$vmcopy_to" ]; then
    # shellcheck disable=SC2154
    echo '[ -e /run/vmcopy-kdump ]' > "$hookdir/initqueue/finished/vmcopy.sh"
    # With systemd a missing root= is in order.
    # shellcheck disable=SC2034
    if [ -z "$root" ] && [ -z "$DRACUT_SYSTEMD" ]; then
        root=vmcopy
        rootok=1
    fi
fi
unset vmcopy_to

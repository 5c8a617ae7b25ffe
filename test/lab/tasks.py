# For drgn: how many tasks a dump has.
from drgn.helpers.linux.pid import for_each_task

print(len(list(for_each_task(prog))))

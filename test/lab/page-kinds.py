# What each page of a crashed kernel is, by the kernel's own debug information: a count of kinds to hold others against.
# Run by drgn; the first line of standard input is RAM as JSON, [[first PFN, PFN behind the last], ...].
import json
import struct
import sys

from drgn import FaultError, offsetof

PAGE = 4096
page_type = prog.type("struct page")
size = page_type.size
vmemmap = prog["vmemmap_base"].value_()


def constant(name):
    try:
        return prog[name].value_()
    except KeyError:
        return None


def member(name, type=page_type):
    try:
        return offsetof(type, name)
    except LookupError:
        return None


def bit(name):
    value = constant(name)
    return 0 if value is None else 1 << value


flags_at, mapping_at, private_at = member("flags"), member("mapping"), member("private")
mapcount_at, head_at = member("_mapcount"), member("compound_head")
lru, private, swapbacked = bit("PG_lru"), bit("PG_private"), bit("PG_swapbacked")
swapcache = bit("PG_swapcache")
head_bit, poison = bit("PG_head"), bit("PG_hwpoison")
typed = constant("PGTY_buddy") is not None
if typed:  # Linux 6.12: a type is the top byte of _mapcount
    types = {constant("PGTY_" + name): name for name in ("buddy", "offline", "slab", "hugetlb")}
    type_of = lambda word: types.get(word >> 24)
else:  # bits that are cleared in _mapcount
    types = {0x80: "buddy", 0x100: "offline"}
    type_of = lambda word: types.get(~word & 0xFFFFFFFF)
    slab = bit("PG_slab")
dtor_at, order_at = member("compound_dtor"), member("compound_order")
HUGETLB_DTOR = constant("HUGETLB_PAGE_DTOR")

kinds = dict.fromkeys(("cache", "cachePrivate", "user", "free", "hwpoison", "offline"), 0)
# Pages that a reader takes for something else who cannot tell hugetlb pages, or the order of a large folio.
user_tails = hugetlb = 0
free_page = None  # inside a block of free pages
state = {}  # of a head: its kind and whether it is hugetlb
free_until = 0


def kind_of(pfn, page, following):
    """The kind of a page that is no tail."""
    flags, = struct.unpack_from("<Q", page, flags_at)
    word, = struct.unpack_from("<I", page, mapcount_at)
    mapping, = struct.unpack_from("<Q", page, mapping_at)
    name = type_of(word)
    is_slab = name == "slab" if typed else bool(flags & slab)
    if name == "hugetlb":
        return "user", True
    if dtor_at is not None and flags & head_bit and following[dtor_at] == HUGETLB_DTOR:
        return "user", True
    if not is_slab and mapping & 1:
        return "user", False
    if flags & lru or (flags & swapcache and flags & swapbacked):
        return "cachePrivate" if flags & private else "cache", False
    return None, False


for start, end in json.loads(sys.stdin.readline()):
    section = 32768
    for first in range(start // section * section, end, section):
        try:
            pages = prog.read(vmemmap + first * size, section * size) + bytes(size)
        except FaultError:
            continue
        for pfn in range(max(start, first), min(end, first + section)):
            at = (pfn - first) * size
            page = pages[at : at + size]
            flags, = struct.unpack_from("<Q", page, flags_at)
            word, = struct.unpack_from("<I", page, mapcount_at)
            link, = struct.unpack_from("<Q", page, head_at)
            is_tail = bool(link & 1)
            if not is_tail and type_of(word) == "buddy":
                free_until = pfn + (1 << struct.unpack_from("<Q", page, private_at)[0])
                if free_until > pfn + 8:
                    free_page = pfn + 1
            if pfn < free_until:
                kinds["free"] += 1
                continue
            head = (link - 1 - vmemmap) // size if is_tail else pfn
            if not is_tail:
                state[pfn] = kind_of(pfn, page, pages[at + size : at + 2 * size])
            kind, is_hugetlb = state.get(head, (None, False))
            if kind is None and flags & poison:
                kind = "hwpoison"
            if kind is None and not is_tail and type_of(word) == "offline":
                kind = "offline"
            if kind is None:
                continue
            kinds[kind] += 1
            hugetlb += is_hugetlb
            user_tails += kind == "user" and is_tail and not is_hugetlb
print(json.dumps({"kinds": kinds, "hugetlb": hugetlb, "userTails": user_tails, "freePage": free_page}))

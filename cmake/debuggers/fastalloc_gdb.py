# SPDX-License-Identifier: MIT OR Apache-2.0
# Pretty printers for GDB: pools, handles, keys, statistics, resources, results and errors of fastalloc.
#
#   (gdb) source fastalloc_gdb.py         or include <fastalloc/debug/gdb.hpp> in one file of the program
#
# Printers read memory and call no function of the program, so they work on core files. Live objects are
# known where a checks policy marks the slots in use: DebugChecks (default without NDEBUG) and FullChecks.
import re
import gdb
import gdb.printing


def scalar(value):
    # The number or pointer in a std::atomic, of any standard library.
    while value.type.strip_typedefs().code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        fields = [f for f in value.type.strip_typedefs().fields() if hasattr(f, 'bitpos')]
        value = value[fields[-1]]
    return value


def find(value, names, depth=8):
    # The first member with one of the names, in value, its bases and members; or None.
    kind = value.type.strip_typedefs()
    if depth == 0 or kind.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return None
    fields = [f for f in kind.fields() if hasattr(f, 'bitpos')]
    for field in fields:
        if field.name in names:
            return value[field]
    for field in fields:
        found = find(value[field], names, depth - 1)
        if found is not None:
            return found
    return None


def text(view):
    # The characters of a std::string_view.
    size = int(find(view, ('_M_len', '__size_', '__size')))
    if size == 0:
        return ''
    return find(view, ('_M_str', '__data_', '__data')).string('utf-8', 'replace', size)


def name_of(pool):
    # PoolConfig::name of the pool at an address, in quotes, with a blank before; or nothing.
    for state in STATES:
        try:
            at = scalar(gdb.parse_and_eval("'%s::pool_names'" % state))
        except gdb.error:
            continue
        while int(at) != 0:
            entry = at.dereference()
            if int(scalar(entry['pool'])) == int(pool):
                start = (at + 1).cast(gdb.lookup_type('char').pointer())
                return ' "%s"' % start.string('utf-8', 'replace', int(entry['length']))
            at = entry['next']
    return ''


STATES = set()


def short(kind):
    # The name of a type without inline namespaces and the policies.
    return re.sub(r'\b(v|\w*abi|(un)?checked[a-z_]*)\d+_\d+_\d+::', '', str(kind))


def items(count, one, many=None):
    return '%d %s' % (count, one if count == 1 else many or one + 's')


class Block:
    # A block of slots: what Block and GrowingBlock hold.
    def __init__(self, block, stride):
        self.data = int(block['data'])
        self.tail = int(block['tail'])
        self.slot_count = int(block['slot_count'])
        self.stride = stride
        self.first = 0
        try:
            self.first = int(block['first'])
        except (gdb.error, TypeError):
            pass

    def live(self):
        # The places of the slots in use. Requires: a tail.
        order = 'big' if 'big' in gdb.execute('show endian', to_string=True) else 'little'
        words = self.slot_count // 32 + 1
        raw = bytes(gdb.selected_inferior().read_memory(self.tail, words * 4))
        for at in range(words):
            word = int.from_bytes(raw[4 * at:4 * at + 4], order)
            while word != 0:
                bit = (word & -word).bit_length() - 1
                word &= word - 1
                if at * 32 + bit < self.slot_count:
                    yield at * 32 + bit


class Core:
    # A PoolCore.
    def __init__(self, core):
        supply = core['supply_']
        blocks = supply['blocks_']
        self.stride = int(blocks['stride_'])
        self.blocks = []
        try:
            directory, count = blocks['sorted_'], int(blocks['count_'])
            found = [directory[i].dereference() for i in range(count)]
        except gdb.error:
            found = [blocks['one_']] if int(blocks['one_']['data']) != 0 else []
        self.blocks = [Block(block, self.stride) for block in found]
        self.capacity = sum(block.slot_count for block in self.blocks)
        self.is_marked = bool(self.blocks) and all(block.tail != 0 for block in self.blocks)
        self.is_cached = find(core['caches_'], ('first_',), 3) is not None
        self.in_use = self.count(supply)

    def count(self, supply):
        if self.is_marked:
            return sum(len(list(block.live())) for block in self.blocks)
        slots = supply['slots_']
        try:
            returned = int(slots['top_'] - slots['stack_'])
        except gdb.error:
            try:
                returned = int(slots['size_'])
            except gdb.error:
                return None
        returned += 1 if int(supply['last_freed_']) != 0 else 0
        if not self.blocks:
            return 0
        if 'bump_end' in [f.name for f in supply['many_'].type.strip_typedefs().fields()]:
            many = supply['many_']
            left = (int(many['bump_end']) - int(supply['bump_'])) // self.stride
            return int(many['total']) - int(many['pending']) - left - returned
        return (int(supply['bump_']) - self.blocks[0].data) // self.stride - returned

    def usage(self):
        if not self.blocks:
            return 'no block yet'
        where = 'in ' + items(len(self.blocks), 'block')
        if self.in_use is None:
            return '%s %s' % (items(self.capacity, 'slot'), where)
        most = 'at most ' if self.is_cached and not self.is_marked else ''
        return '%s%d of %s in use, %s' % (most, self.in_use, items(self.capacity, 'slot'), where)

    def objects(self, kind):
        if not self.is_marked:
            return
        for block in sorted(self.blocks, key=lambda block: block.data):
            for place in block.live():
                at = gdb.Value(block.data + place * self.stride).cast(kind.pointer())
                yield '[%d]' % (block.first + place), at.dereference()


class Guarded:
    # A printer must not end the command that prints, whatever the memory holds.
    def __init__(self, value):
        self.value = value

    def to_string(self):
        try:
            return self.show()
        except (gdb.error, RuntimeError, UnicodeError) as error:
            return '<unreadable: %s>' % error

    def children(self):
        try:
            for child in self.list():
                yield child
        except (gdb.error, RuntimeError) as error:
            yield 'error', str(error)

    def list(self):
        return []


class Pool(Guarded):
    def element(self):
        return self.value.type.strip_typedefs().template_argument(0)

    def title(self):
        kind = str(self.value.type.strip_typedefs()).split('<')[0].split('::')[-1]
        return '%s<%s>%s' % (kind, short(self.element()), name_of(self.value.address))

    def show(self):
        return '%s: %s' % (self.title(), Core(self.value['core_']).usage())

    def list(self):
        return Core(self.value['core_']).objects(self.element())


class LocalPool(Pool):
    def parts(self):
        name = str(self.value.type.strip_typedefs().unqualified())
        name = name.replace('fastalloc::', 'fastalloc::detail::', 1)
        name = name.replace('::ThreadLocalPool<', '::SubPool<', 1)
        kind = gdb.lookup_type(name).pointer()
        for start in ('first_', 'spare_'):
            part = self.value['parts_'][start]
            while int(part) != 0:
                yield part.cast(kind).dereference()
                part = part['next']

    def show(self):
        cores = [Core(part['core_']) for part in self.parts()]
        used = sum(core.in_use or 0 for core in cores)
        slots = sum(core.capacity for core in cores)
        return '%s: %d of %s in use, in the parts of %s' % (
            self.title(), used, items(slots, 'slot'), items(len(cores), 'thread'))

    def list(self):
        for number, part in enumerate(self.parts()):
            yield 'part %d' % (number + 1), part


class Movable(Guarded):
    def show(self):
        pool = self.value['pool_']
        if int(pool) == 0:
            return 'MovablePool, moved from'
        return 'MovablePool of ' + Pool(pool.dereference()).to_string()

    def list(self):
        if int(self.value['pool_']) != 0:
            yield 'pool', self.value['pool_'].dereference()


class Handle(Guarded):
    def owner(self):
        try:
            return int(self.value['owner_']['word_']) & ~1
        except gdb.error:
            return 0

    def show(self):
        object = self.value['object_']
        if int(object) == 0:
            return 'Handle, empty'
        pool = name_of(self.owner())
        return 'Handle to 0x%x%s' % (int(object), pool and ' in pool' + pool)

    def list(self):
        if int(self.value['object_']) != 0:
            yield 'object', self.value['object_'].dereference()


class Sharing(Guarded):
    # SharedHandle and WeakHandle
    def strong(self):
        word = int(self.value['counts_']['word_']) & ~3
        if word == 0:
            return None
        counts = gdb.Value(word).cast(self.counts().pointer()).dereference()
        return int(counts['word']), int(counts['owner'])

    def counts(self):
        name = str(self.value['counts_'].type.strip_typedefs())
        return gdb.lookup_type(re.sub(r'CountsRef$', 'SharedCounts', name))

    def show(self):
        kind = 'WeakHandle' if 'WeakHandle<' in str(self.value.type.strip_typedefs()) else 'SharedHandle'
        if int(self.value['object_']) == 0:
            return kind + ', empty'
        word, owner = self.strong()
        strong, weak = word & 0xffffffff, word >> 32
        weak -= 1 if strong != 0 else 0  # the strong ones together
        dead = '' if strong != 0 else ', the object is gone'
        pool = name_of(owner)
        return '%s to 0x%x%s, %d strong, %d weak%s' % (
            kind, int(self.value['object_']), pool and ' in pool' + pool, strong, weak, dead)

    def list(self):
        if int(self.value['object_']) != 0 and self.strong()[0] & 0xffffffff != 0:
            yield 'object', self.value['object_'].dereference()


class Slots(Guarded):
    # BatchHandle and SpanHandle
    def show(self):
        kind = str(self.value.type.strip_typedefs()).split('<')[0].split('::')[-1]
        pool = name_of(self.value['owner_'])
        count = items(int(self.value['size_']), 'object')
        return '%s of %s%s' % (kind, count, pool and ' in pool' + pool)

    def list(self):
        kind = self.value.type.strip_typedefs().template_argument(0).pointer()
        slots = self.value['slots_']
        for i in range(int(self.value['size_'])):
            try:
                at = slots['list'][i].cast(kind)
            except gdb.error:
                at = slots['first'].cast(kind) + i
            yield '[%d]' % i, at.dereference()

    def display_hint(self):
        return 'array'


class Key(Guarded):
    def show(self):
        try:
            index, generation = int(self.value['index_']), int(self.value['generation_'])
        except gdb.error:
            bits = int(self.value.type.strip_typedefs().template_argument(0))
            word = int(self.value['value_'])
            index, generation = word & ((1 << bits) - 1), word >> bits << 1
        return 'Key of slot %d, generation %d' % (index, generation) if generation else 'Key of nothing'


class Statistics(Guarded):
    def show(self):
        v = self.value
        name = text(v['name'])
        return '%s%d of %s in use, peak %d, %s, %s, %s, %s' % (
            name and '"%s": ' % name, int(v['current_usage']), items(int(v['capacity']), 'slot'),
            int(v['peak_usage']), items(int(v['total_allocations']), 'allocation'),
            items(int(v['total_deallocations']), 'deallocation'),
            items(int(v['allocation_failures']), 'failure'), items(int(v['growth_count']), 'growth'))


class Resource(Guarded):
    def cores(self):
        cores = self.value['cores_']
        first, last = cores.type.strip_typedefs().range()
        for i in range(first, last + 1):
            core = Core(cores[i])
            if core.blocks:
                yield core

    def show(self):
        kind = str(self.value.type.strip_typedefs()).split('::')[-1]
        cores = list(self.cores())
        used = sum((core.in_use or 0) * core.stride for core in cores)
        held = sum(core.capacity * core.stride for core in cores)
        classes = items(len(cores), 'size class', 'size classes')
        return '%s: %d of %d bytes in use, %s' % (kind, used, held, classes)

    def list(self):
        for core in self.cores():
            yield '%d bytes' % core.stride, core.usage()


class Error(Guarded):
    def show(self):
        v = self.value
        words = [str(v['code']).split('::')[-1]]
        if int(v['text']) != 0:
            words.append(v['text'].string('utf-8', 'replace'))
        facts = []
        for field in ('pool_name', 'type_name'):
            if text(v[field]):
                facts.append('%s %s' % (field.split('_')[0], text(v[field])))
        for field in ('capacity', 'allocated', 'requested', 'limit'):
            if int(v[field]) != 0:
                facts.append('%s %d' % (field, int(v[field])))
        return ': '.join(words) + (' (%s)' % ', '.join(facts) if facts else '')


class Result(Guarded):
    def engaged(self, optional):
        return bool(find(optional, ('_M_engaged', '__engaged_')))

    def show(self):
        try:
            optional = self.value['value_']
        except gdb.error:
            optional = self.value['error_']  # Result<void>
            if not self.engaged(optional):
                return 'Result without an error'
            return 'Result with the error ' + Error(find(optional, ('_M_value', '__val_'))).to_string()
        if self.engaged(optional):
            return 'Result with a value'
        return 'Result with the error ' + Error(self.value['error_']).to_string()

    def list(self):
        try:
            if self.engaged(self.value['value_']):
                yield 'value', find(self.value['value_'], ('_M_value', '__val_'))
        except gdb.error:
            pass


class Printers(gdb.printing.PrettyPrinter):
    kinds = {
        'FixedPool': Pool, 'GrowingPool': Pool, 'ThreadSafePool': Pool, 'SubPool': Pool,
        'ThreadLocalPool': LocalPool, 'MovablePool': Movable, 'Handle': Handle, 'SharedHandle': Sharing,
        'WeakHandle': Sharing, 'BatchHandle': Slots, 'SpanHandle': Slots, 'Key': Key, 'ShortKey': Key,
        'PoolStatistics': Statistics, 'PoolResource': Resource, 'SynchronizedPoolResource': Resource,
        'Error': Error, 'Result': Result}
    pattern = re.compile(r'^fastalloc::(detail::)?[a-z_]+(\d+_\d+_\d+)::(\w+)(<.*>)?$')

    def __init__(self):
        super(Printers, self).__init__('fastalloc')

    def __call__(self, value):
        kind = value.type
        if kind.code == getattr(gdb, 'TYPE_CODE_REF', None):
            kind = kind.target()
        match = self.pattern.match(str(kind.unqualified().strip_typedefs()))
        if match is None or match.group(3) not in self.kinds:
            return None
        STATES.add('fastalloc::detail::v' + match.group(2))
        return self.kinds[match.group(3)](value)


gdb.printing.register_pretty_printer(None, Printers(), replace=True)

# SPDX-License-Identifier: MIT OR Apache-2.0
# Formatters for LLDB: pools, handles, keys, statistics, results and errors of fastalloc.
#
#   (lldb) command script import fastalloc_lldb.py         in ~/.lldbinit for always
#
# They read memory and call no function of the program.
import lldb

NAMESPACE = '^fastalloc::([a-z0-9_]+::)?'  # LLDB's expressions are POSIX ones, without "w"


def member(value, *path):
    for name in path:
        value = value.GetNonSyntheticValue().GetChildMemberWithName(name)
    return value


def number(value, *path):
    found = member(value, *path)
    return found.GetValueAsUnsigned(0) if found.IsValid() else None


def items(count, one, many=None):
    return '%d %s' % (count, one if count == 1 else many or one + 's')


def view(value):
    # The characters of a std::string_view, without quotes.
    raw = value.GetNonSyntheticValue()
    for start, size in (('_M_str', '_M_len'), ('__data_', '__size_'), ('__data', '__size')):
        at = raw.GetChildMemberWithName(start)
        if at.IsValid():
            length = raw.GetChildMemberWithName(size).GetValueAsUnsigned(0)
            if length == 0:
                return ''
            error = lldb.SBError()
            data = value.GetProcess().ReadMemory(at.GetValueAsUnsigned(0), length, error)
            return data.decode('utf-8', 'replace') if error.Success() else ''
    return ''


def counted(core):
    # Slots in use, and all, of a PoolCore; None where the count is not known.
    supply = member(core, 'supply_')
    stride = number(supply, 'blocks_', 'stride_')
    count = number(supply, 'blocks_', 'count_')
    if count is None:
        start, capacity = number(supply, 'blocks_', 'one_', 'data'), number(supply, 'blocks_', 'one_', 'slot_count')
        blocks = 1 if start else 0
    else:
        capacity, blocks = number(supply, 'many_', 'total'), count
    if not blocks:
        return 0, 0, 0
    slots = member(supply, 'slots_')
    top, returned = number(slots, 'top_'), number(slots, 'size_')
    if top is not None:
        entry = member(slots, 'top_').GetType().GetPointeeType().GetByteSize()
        returned = (top - number(slots, 'stack_')) // entry
    if returned is None:
        return None, capacity, blocks
    returned += 1 if number(supply, 'last_freed_') else 0
    bump = number(supply, 'bump_')
    if count is None:
        return (bump - start) // stride - returned, capacity, blocks
    left = (number(supply, 'many_', 'bump_end') - bump) // stride
    return capacity - number(supply, 'many_', 'pending') - left - returned, capacity, blocks


def pool(value, _):
    value = value.GetNonSyntheticValue()
    used, capacity, blocks = counted(member(value, 'core_'))
    if blocks == 0:
        return 'no block yet'
    taken = '' if used is None else '%d of ' % used
    most = 'at most ' if 'ThreadSafePool' in value.GetType().GetCanonicalType().GetName() and used is not None else ''
    return '%s%s%s%s, in %s' % (most, taken, items(capacity, 'slot'), '' if used is None else ' in use',
                                items(blocks, 'block'))


def handle(value, _):
    at = number(value, 'object_')
    return 'empty' if not at else 'to 0x%x' % at


def batch(value, _):
    return items(number(value, 'size_'), 'object')


def key(value, _):
    word = member(value, 'value_')
    if word.IsValid():
        bits = int(value.GetType().GetCanonicalType().GetName().split('<')[1].split(',')[0])
        raw = word.GetValueAsUnsigned(0)
        index, generation = raw & ((1 << bits) - 1), raw >> bits << 1
    else:
        index, generation = number(value, 'index_'), number(value, 'generation_')
    return 'of slot %d, generation %d' % (index, generation) if generation else 'of nothing'


def statistics(value, _):
    name = view(member(value, 'name'))
    return '%s%d of %s in use, peak %d, %s, %s' % (
        name and '"%s": ' % name, number(value, 'current_usage'), items(number(value, 'capacity'), 'slot'),
        number(value, 'peak_usage'), items(number(value, 'total_allocations'), 'allocation'),
        items(number(value, 'allocation_failures'), 'failure'))


def error(value, _):
    words = member(value, 'text').GetSummary()
    return (member(value, 'code').GetValue() or '?') + (': ' + words.strip('"') if words else '')


def __lldb_init_module(debugger, _):
    def add(names, function, options=''):
        debugger.HandleCommand('type summary add -w fastalloc %s -F fastalloc_lldb.%s -x "%s(%s)(<.*>)?$"' %
                               (options, function, NAMESPACE, names))
    add('FixedPool|GrowingPool|ThreadSafePool', 'pool')
    add('Handle|SharedHandle|WeakHandle', 'handle', '-e')
    add('BatchHandle|SpanHandle', 'batch')
    add('Key|ShortKey', 'key')
    add('PoolStatistics', 'statistics')
    add('Error', 'error')
    debugger.HandleCommand('type category enable fastalloc')

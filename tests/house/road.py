# SPDX-License-Identifier: MIT OR Apache-2.0
# gdb -batch -x road.py <road>: prints, for each marked line of road.cpp, how many functions of how many headers of the library
# a debugger steps into, and their names.
import gdb


def without_arguments(name):
    """The last two parts of a qualified name, without template arguments."""
    out, depth = "", 0
    for c in name:
        depth += (c == "<") - (c == ">")
        if c != ">" and depth == 0:
            out += c
    return "::".join(out.split("::")[-2:])


def depth_of(frame):
    depth = 0
    while frame.older() is not None:
        frame, depth = frame.older(), depth + 1
    return depth


def walk(name, line):
    while gdb.selected_frame().find_sal().line < line:
        gdb.execute("next", to_string=True)
    depth = depth_of(gdb.selected_frame())
    functions = []
    while True:
        gdb.execute("step", to_string=True)
        frame = gdb.selected_frame()
        sal = frame.find_sal()
        if depth_of(frame) == depth:
            if sal.line != line:
                break
            continue
        file = sal.symtab.filename if sal.symtab else ""
        if "/fastalloc/" not in file:
            continue
        step = (without_arguments(frame.name()), file.split("/fastalloc/")[-1])
        if step not in functions:
            functions.append(step)
    files = {file for _, file in functions}
    print(f"{name}: {len(functions)} functions, {len(files)} files")
    for function, file in functions:
        print(f"    {function}  {file}")


gdb.execute("set pagination off")
gdb.execute("break walk", to_string=True)
source = None
lines = {}
gdb.execute("run", to_string=True)
for pool in ("FixedPool", "GrowingPool", "ThreadSafePool"):
    if source is None:
        source = gdb.selected_frame().find_sal().symtab.fullname()
        for number, text in enumerate(open(source), 1):
            if text.rstrip().endswith("// allocate"):
                lines["allocate"] = number
            elif text.rstrip().endswith("// end"):
                lines["end"] = number
    assert pool in gdb.selected_frame().name(), gdb.selected_frame().name()
    for what, line in lines.items():
        walk(f"{pool} {what}", line)
    gdb.execute("continue", to_string=True)

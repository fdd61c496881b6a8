# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D RECORDER=<libfastalloc-record.so> -D OUT=<folder> [-D ONLY=<regex>] -P record_programs.cmake
# Records six kinds of programs into OUT/<kind>.trace: the files in programs/. Their inputs are written here, or are
# files of this checkout, and small: a trace is a whole run, from the start of the program to its end. Of the processes
# of a run the one with the most calls is kept: cc1plus of g++, troff or its driver of groff. Programs that are missing
# are left out; the last line says what was recorded.
cmake_minimum_required(VERSION 3.23)
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
if(NOT EXISTS "${RECORDER}")
  message(FATAL_ERROR "there is no recorder '${RECORDER}'; build fastalloc-record and pass it with -D RECORDER=...")
endif()
if("${OUT}" STREQUAL "")
  message(FATAL_ERROR "name the folder for the traces with -D OUT=...")
endif()
get_filename_component(OUT "${OUT}" ABSOLUTE)
set(work ${OUT}/work)
set(recorded "")

# record(<kind> <program> [<argument>...]), with the variable `input` as standard input.
function(record kind program)
  if(ONLY AND NOT kind MATCHES "${ONLY}")
    return()
  endif()
  # A wrapper of the same name in front of it would be recorded, too.
  find_program(${program}_path ${program} PATHS /usr/bin NO_DEFAULT_PATH)
  find_program(${program}_path ${program})
  if(NOT ${program}_path)
    message(STATUS "${kind}: no ${program}")
    return()
  endif()
  set(with_input "")
  if(input)
    set(with_input INPUT_FILE ${input})
  endif()
  file(MAKE_DIRECTORY ${work}/${kind})
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C.UTF-8 PYTHONMALLOC=malloc PYTHONHASHSEED=0 GIT_PAGER=cat
            FASTALLOC_TRACE=${work}/${kind}/%p.trace LD_PRELOAD=${RECORDER} ${${program}_path} ${ARGN}
    ${with_input} WORKING_DIRECTORY ${work} RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${kind}: ${program} ended with ${result}\n${errors}")
  endif()
  set(most 0)
  file(GLOB files ${work}/${kind}/*)
  foreach(file IN LISTS files)
    file(SIZE ${file} bytes)
    if(bytes GREATER most)
      set(most ${bytes})
      set(kept ${file})
    endif()
  endforeach()
  file(RENAME ${kept} ${OUT}/${kind}.trace)
  message(STATUS "${kind}: ${program}, ${most} bytes")
  set(recorded "${recorded} ${kind}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})

# A compiler's front end: a short file, and the headers that it includes.
file(WRITE ${work}/program.cpp "#include <string>
#include <vector>
template <class T> struct Stack {
  void push(T value) { values.push_back(static_cast<T&&>(value)); }
  std::vector<T> values;
};
int main() {
  Stack<std::string> names;
  Stack<int> numbers;
  for (int i = 0; i != 3; ++i) names.push(std::to_string(i)), numbers.push(i);
  return static_cast<int>(names.values.size() + numbers.values.size());
}
")
set(input "")
record(compiler clang++ -std=c++20 -fsyntax-only program.cpp)

# An interpreter: a document, dictionaries, objects and strings.
file(WRITE ${work}/program.py "import json, re
class Node:
  def __init__(self, name):
    self.name, self.kids = name, []
words = ['w%d' % (i * 7919 % 700) for i in range(700)]
text = json.dumps({word: [i, {'name': word}] for i, word in enumerate(words)})
data = json.loads(text)
root = Node('root')
for word in re.findall(r'w[0-9]+', text):
  node = root
  for letter in word:
    kid = next((kid for kid in node.kids if kid.name == letter), None)
    if kid is None:
      kid = Node(letter)
      node.kids.append(kid)
    node = kid
counts = {}
for word in words: counts[word[:2]] = counts.get(word[:2], 0) + 1
print(len(data), len(root.kids), sorted(counts.items()))
")
record(interpreter python3 -S program.py)

# A database in memory.
file(WRITE ${work}/statements.sql "
CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, name TEXT, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
INSERT INTO item SELECT i, i * 7919 % 50, printf('item %d of %d', i, i * 104729 % 4000), i / 4.0 FROM n;
CREATE INDEX by_kind ON item (kind, name);
")
foreach(i RANGE 1 500)
  file(APPEND ${work}/statements.sql "SELECT name, price FROM item WHERE kind = ${i} % 50 ORDER BY price DESC LIMIT 5;
UPDATE item SET name = name || ' (${i})' WHERE id = ${i} * 7;
")
endforeach()
file(APPEND ${work}/statements.sql "
SELECT kind, count(*), group_concat(name, ',') FROM item GROUP BY kind;
DELETE FROM item WHERE kind % 3 = 0;
VACUUM;
")
set(input ${work}/statements.sql)
record(database sqlite3 :memory:)
set(input "")

# Version control: the history of this checkout.
record(version_control git -C ${root} log --stat -p -60 --no-color)

# A document tool: a page of this checkout as a manual.
file(READ ${root}/README.md text)
file(WRITE ${work}/page.1 ".TH FASTALLOC 1\n${text}")
record(document groff -man -Tutf8 page.1)

# A build tool: two thousand objects in forty libraries, of which nothing is built yet.
set(text "rule compile\n  command = cc -c $in -o $out\n  description = compile $out\nrule link\n  command = ar $out $in\n")
foreach(library RANGE 1 40)
  set(objects "")
  foreach(object RANGE 1 50)
    string(APPEND text "build lib${library}/part${object}.o: compile program.cpp | statements.sql program.py\n"
                       "  flags = -O2 -DPART=${object}\n")
    string(APPEND objects " lib${library}/part${object}.o")
  endforeach()
  string(APPEND text "build lib${library}.a: link${objects}\n")
endforeach()
file(WRITE ${work}/build.ninja "${text}")
record(build_tool ninja -n)

file(REMOVE_RECURSE ${work})
message(STATUS "recorded:${recorded}")

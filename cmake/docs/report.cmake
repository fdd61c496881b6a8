# SPDX-License-Identifier: MIT OR Apache-2.0
# cmake -D REPLAY=<fastalloc-replay> [-D CHECK=ON] -P report.cmake
# Draws report.svg of this folder: the pictures of the page that fastalloc-replay --html writes of the shipped trace, one
# below the other. CHECK: of the committed picture, all that is counted and not measured (live bytes, counts) is what the
# program draws now, byte for byte. The times in it are those of the run that drew it.
cmake_minimum_required(VERSION 3.23)
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(repeat 5)
if(CHECK)
  set(repeat 1)
endif()
execute_process(COMMAND ${REPLAY} --html --repeat ${repeat} clang-format.trace WORKING_DIRECTORY ${root}/benchmarks/trace
  OUTPUT_VARIABLE page COMMAND_ERROR_IS_FATAL ANY)

# cut(<text> <begin> <end> <result>): what is between the first `begin` and the next `end`; the text goes on behind that.
macro(cut text begin end result)
  string(FIND "${${text}}" "${begin}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "the page has no ${begin}")
  endif()
  string(LENGTH "${begin}" length)
  math(EXPR at "${at} + ${length}")
  string(SUBSTRING "${${text}}" ${at} -1 ${text})
  string(FIND "${${text}}" "${end}" at)
  string(SUBSTRING "${${text}}" 0 ${at} ${result})
  string(SUBSTRING "${${text}}" ${at} -1 ${text})
endmacro()

cut(page "<h1>" "</h1>" program)
cut(page "<p>" "</p>" counts)
set(body "<text x='10' y='20' class='title'>${program}</text>\n<text x='10' y='38' class='soft'>${counts}</text>\n")
set(y 48)
foreach(part 1 2 3 4)
  cut(page "<h2>" "</h2>" heading)
  cut(page "<svg viewBox=\"0 0 830 " "\"" height)
  cut(page ">\n" "</svg>" drawing)
  math(EXPR baseline "${y} + 20")
  math(EXPR top "${y} + 28")
  string(APPEND body "<text x='10' y='${baseline}' class='title'>${heading}</text>\n<g transform='translate(0 ${top})'>\n${drawing}</g>\n")
  math(EXPR y "${top} + ${height}")
endforeach()
math(EXPR baseline "${y} + 14")
math(EXPR height "${y} + 26")
string(APPEND body "<text x='10' y='${baseline}' class='soft'>Shorter is better. In brackets: malloc's figure divided by this one.</text>\n")

set(file ${CMAKE_CURRENT_LIST_DIR}/report.svg)
if(CHECK)
  file(READ ${file} kept)
  foreach(text program counts drawing)
    string(FIND "${kept}" "${${text}}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "${file} is not of this page: draw it with this script. It lacks:\n${${text}}")
    endif()
  endforeach()
  return()
endif()
file(WRITE ${file} "<svg xmlns='http://www.w3.org/2000/svg' width='830' height='${height}' viewBox='0 0 830 ${height}' role='img'>
<title>The report of a replayed trace</title>
<style>
text{font:12px system-ui,sans-serif}.title{font-weight:bold;font-size:14px}.end{text-anchor:end}.curve{fill-opacity:.25}
.paper{fill:#ffffff}text{fill:#1f2328}.soft{fill:#59636e}.axis{stroke:#d1d9e0}.curve{fill:#0969da;stroke:#0969da}
.ours{fill:#0969da}.other{fill:#8c959f}
@media (prefers-color-scheme:dark){
.paper{fill:#0d1117}text{fill:#e6edf3}.soft{fill:#9198a1}.axis{stroke:#3d444d}.curve{fill:#58a6ff;stroke:#58a6ff}
.ours{fill:#58a6ff}.other{fill:#6e7681}
}
</style>
<rect width='100%' height='100%' rx='6' class='paper'/>
${body}</svg>
")

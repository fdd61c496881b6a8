# SPDX-License-Identifier: MIT OR Apache-2.0
# fail(<text>): ends a script that is a test. The text is printed as it is; FATAL_ERROR alone would wrap its lines.
function(fail text)
  message("${text}")
  message(FATAL_ERROR "not as expected")
endfunction()

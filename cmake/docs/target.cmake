# SPDX-License-Identifier: MIT OR Apache-2.0
# The target docs writes the site to build/.../docs/html/index.html; it needs Doxygen.
add_custom_target(docs
  COMMAND ${CMAKE_COMMAND} -D OUTPUT=${PROJECT_BINARY_DIR}/docs -P ${CMAKE_CURRENT_LIST_DIR}/site.cmake
  COMMENT "Writing ${PROJECT_BINARY_DIR}/docs/html/index.html")

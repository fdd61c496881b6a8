# SPDX-License-Identifier: MIT OR Apache-2.0
# Install rules: the headers, the module's source, and what find_package(fastalloc), pkg-config and CPack need. See
# cmake/README.md.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Headers do not depend on the architecture, so the package lies under share/, not lib/.
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/fastalloc)

install(TARGETS fastalloc EXPORT fastalloc FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT fastalloc NAMESPACE fastalloc:: DESTINATION ${package_dir} FILE fastallocConfig.cmake)
install(FILES include/fastalloc/fastalloc.cppm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fastalloc)

write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/fastallocConfigVersion.cmake COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/fastallocConfigVersion.cmake DESTINATION ${package_dir})
# Printers for debuggers; see cmake/README.md.
include(${CMAKE_CURRENT_LIST_DIR}/debuggers/natvis.cmake)
fastalloc_write_natvis(${PROJECT_BINARY_DIR}/fastalloc.natvis)
install(FILES cmake/debuggers/fastalloc_gdb.py cmake/debuggers/fastalloc_lldb.py ${PROJECT_BINARY_DIR}/fastalloc.natvis
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fastalloc/debuggers)
install(FILES LICENSE-MIT LICENSE-APACHE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/fastalloc)

# The .pc file finds its prefix from where it lies, as the package of CMake does.
set(pc_include ${CMAKE_INSTALL_INCLUDEDIR})
set(pc_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)
cmake_path(ABSOLUTE_PATH pc_dir BASE_DIRECTORY /prefix NORMALIZE OUTPUT_VARIABLE pc_absolute)
set(pc_to_prefix /prefix)
cmake_path(RELATIVE_PATH pc_to_prefix BASE_DIRECTORY ${pc_absolute})
configure_file(cmake/fastalloc.pc.in ${PROJECT_BINARY_DIR}/fastalloc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/fastalloc.pc DESTINATION ${pc_dir})

# CPack: fastalloc-<version>.tar.gz, a .zip on Windows, and where dpkg is, libfastalloc-dev_<version>_all.deb.
if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_PACKAGE_NAME fastalloc)
  set(CPACK_PACKAGE_VENDOR "fastalloc contributors")
  set(CPACK_PACKAGE_CONTACT "fastalloc contributors")
  set(CPACK_PACKAGE_FILE_NAME fastalloc-${PROJECT_VERSION})
  set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE-MIT)
  set(CPACK_DEBIAN_PACKAGE_NAME libfastalloc-dev)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
  set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
  set(CPACK_DEB_COMPONENT_INSTALL OFF)
  set(CPACK_GENERATOR TGZ)
  find_program(FASTALLOC_DPKG dpkg)
  mark_as_advanced(FASTALLOC_DPKG)
  if(WIN32)
    set(CPACK_GENERATOR ZIP)
  elseif(FASTALLOC_DPKG)
    list(APPEND CPACK_GENERATOR DEB)
  endif()
  include(CPack)
endif()

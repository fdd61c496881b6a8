# SPDX-License-Identifier: MIT OR Apache-2.0
# Install rules: the headers, and a package that find_package(fastalloc) finds. See cmake/README.md.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Headers do not depend on the architecture, so the package lies under share/, not lib/.
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/fastalloc)

install(TARGETS fastalloc EXPORT fastalloc FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT fastalloc NAMESPACE fastalloc:: DESTINATION ${package_dir} FILE fastallocConfig.cmake)

write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/fastallocConfigVersion.cmake COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/fastallocConfigVersion.cmake DESTINATION ${package_dir})
install(FILES LICENSE-MIT LICENSE-APACHE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/fastalloc)

# SPDX-License-Identifier: MIT OR Apache-2.0
# fastalloc_catch2: Catch2 with a main(), whichever version is here: an installed 3, an installed 2, else 3 from the
# network. Also brings catch_discover_tests().
find_package(Catch2 3 QUIET)
if(NOT Catch2_FOUND)
  find_package(Catch2 2 QUIET)
endif()
if(NOT Catch2_FOUND)
  find_package(Git QUIET)
  if(NOT Git_FOUND)
    message(FATAL_ERROR "The tests need Catch2, which is not installed, and there is no git to fetch it with. Type apt-get install "
      "catch2 (Debian, Ubuntu), or configure without tests: -D FASTALLOC_BUILD_TESTS=OFF")
  endif()
  message(STATUS "Catch2 is not installed (Debian: apt-get install catch2), so it is fetched")
  include(FetchContent)
  FetchContent_Declare(Catch2
    GIT_REPOSITORY https://github.com/catchorg/Catch2 GIT_TAG v3.7.1 GIT_SHALLOW ON)
  FetchContent_MakeAvailable(Catch2)
  list(APPEND CMAKE_MODULE_PATH ${catch2_SOURCE_DIR}/extras)
endif()
include(Catch)

add_library(fastalloc_catch2 INTERFACE)
if(TARGET Catch2::Catch2WithMain)
  target_link_libraries(fastalloc_catch2 INTERFACE Catch2::Catch2WithMain)
else()
  # Catch2 2 as a bare header: its implementation and main() are compiled once, here.
  file(CONFIGURE OUTPUT catch2_main.cpp CONTENT "#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\n")
  add_library(fastalloc_catch2_main OBJECT ${CMAKE_CURRENT_BINARY_DIR}/catch2_main.cpp)
  target_link_libraries(fastalloc_catch2_main PRIVATE Catch2::Catch2)
  if(NOT MSVC)
    # Its optimizer would take as long as that of a whole folder of tests; under AddressSanitizer 38 s of 51.
    target_compile_options(fastalloc_catch2_main PRIVATE -O0)
  endif()
  target_link_libraries(fastalloc_catch2 INTERFACE Catch2::Catch2)
  target_sources(fastalloc_catch2 INTERFACE $<TARGET_OBJECTS:fastalloc_catch2_main>)
endif()
# No try block around each assertion: a tenth less to compile. An exception fails the test case all the same.
target_compile_definitions(fastalloc_catch2 INTERFACE CATCH_CONFIG_FAST_COMPILE)

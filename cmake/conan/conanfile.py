# SPDX-License-Identifier: MIT OR Apache-2.0
# Conan 2: `conan create cmake/conan` in a checkout packs that checkout, and test_package/ uses it.
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load


class FastallocConan(ConanFile):
    name = "fastalloc"
    description = "Typed memory pools for C++20, header only"
    license = "MIT OR Apache-2.0"
    topics = ("memory-pool", "allocator", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def _checkout(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        text = load(self, os.path.join(self._checkout(), "include", "fastalloc", "version.hpp"))
        self.version = re.search(r'FASTALLOC_VERSION_STRING "([^"]+)"', text).group(1)

    def export_sources(self):
        for pattern in ("include/*", "LICENSE-*"):
            copy(self, pattern, src=self._checkout(), dst=self.export_sources_folder)

    def validate(self):
        check_min_cppstd(self, 20)

    def package_id(self):
        self.info.clear()

    def package(self):
        copy(self, "include/*", src=self.source_folder, dst=self.package_folder)
        copy(self, "LICENSE-*", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "fastalloc")
        self.cpp_info.set_property("cmake_target_name", "fastalloc::fastalloc")
        self.cpp_info.set_property("pkg_config_name", "fastalloc")

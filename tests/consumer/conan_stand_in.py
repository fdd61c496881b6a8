# SPDX-License-Identifier: MIT OR Apache-2.0
# conan_stand_in.py <checkout> <folder> <version>
# Runs the methods of cmake/conan/conanfile.py as Conan 2 would, with a stand-in for the few functions that they call.
import fnmatch
import os
import shutil
import sys
import types

checkout, folder, version = sys.argv[1:]


def copy(conanfile, pattern, src, dst):
    for place, _, names in os.walk(src):
        for name in names:
            relative = os.path.relpath(os.path.join(place, name), src)
            if fnmatch.fnmatch(relative, pattern):
                os.makedirs(os.path.join(dst, os.path.dirname(relative)), exist_ok=True)
                shutil.copy(os.path.join(src, relative), os.path.join(dst, relative))


def load(conanfile, path):
    with open(path) as file:
        return file.read()


class ConanFile:
    pass


class Recorder(types.SimpleNamespace):
    def __init__(self):
        super().__init__(properties={}, cleared=False)

    def set_property(self, name, value):
        self.properties[name] = value

    def clear(self):
        self.cleared = True


modules = {
    "conan": {"ConanFile": ConanFile},
    "conan.tools": {},
    "conan.tools.build": {"check_min_cppstd": lambda conanfile, standard: None},
    "conan.tools.files": {"copy": copy, "load": load},
}
for name, content in modules.items():
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(content)

recipe_folder = os.path.join(checkout, "cmake", "conan")
scope = {}
exec(load(None, os.path.join(recipe_folder, "conanfile.py")), scope)

recipe = scope["FastallocConan"]()
recipe.recipe_folder = recipe_folder
recipe.export_sources_folder = recipe.source_folder = os.path.join(folder, "sources")
recipe.package_folder = os.path.join(folder, "package")
recipe.cpp_info = Recorder()
recipe.info = Recorder()
recipe.set_version()
assert recipe.version == version, recipe.version
recipe.export_sources()
recipe.validate()
recipe.package_id()
recipe.package()
recipe.package_info()

assert recipe.info.cleared
assert recipe.cpp_info.properties["cmake_target_name"] == "fastalloc::fastalloc"
for wanted in ("include/fastalloc/fastalloc.hpp", "include/fastalloc/pool/fixed_pool.hpp", "licenses/LICENSE-MIT"):
    assert os.path.exists(os.path.join(recipe.package_folder, wanted)), wanted

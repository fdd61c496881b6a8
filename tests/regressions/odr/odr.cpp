// SPDX-License-Identifier: MIT OR Apache-2.0
#include <set>
#include <string>
#include <vector>

#include <fastalloc/fastalloc.hpp>

#include "regressions/odr/bare.hpp"
#include "regressions/odr/item.hpp"
#include "support/catch.hpp"
#include "support/death.hpp"
#include "support/recorded_errors.hpp"

TEST_CASE("trap: ODR by macro: each file keeps its own mode") {
  CHECK(checked_file.checked);
  CHECK_FALSE(unchecked_file.checked);
  CHECK_FALSE(ndebug_file.checked);
  CHECK(checked_file.release_twice());
  CHECK_FALSE(unchecked_file.release_twice());
}

TEST_CASE("trap: ODR by macro: erased handles travel between the files") {
  File const* const files[] = {&checked_file, &unchecked_file, &ndebug_file};
  for (File const* from : files)
    for (File const* to : files) {
      std::vector<fastalloc::Handle<Item>> handles;
      for (std::uint64_t i = 0; i != 20; ++i) handles.push_back(from->allocate(i));
      CHECK(from->allocated() == 20);
      CHECK(Item::live == 20);
      for (std::uint64_t i = 0; i != 20; ++i) CHECK(to->consume(std::move(handles[i])) == i);
      CHECK(from->allocated() == 0);
      CHECK(Item::live == 0);
    }
}

TEST_CASE("trap: ODR by macro: exceptions thrown in one file are caught in another") {
  File const* const files[] = {&checked_file, &unchecked_file, &ndebug_file};
  for (File const* from : files)
    for (File const* to : files) CHECK(to->catches(from->overflow));
  CHECK(Item::live == 0);
}

TEST_CASE("trap: ODR by macro: a pool that is a member of a class, which files with other checks use, too") {
  constexpr int named = 3;
  File const* const files[] = {&checked_file, &unchecked_file, &ndebug_file};
  for (File const* maker : files)
    for (File const* user : files)
      for (int pool = 0; pool != 4; ++pool) {
        INFO("made " << (maker->checked ? "with" : "without") << " checks, used "
                     << (user->checked ? "with" : "without") << ", pool " << pool);
        test::RecordedErrors errors;
        auto const says_why = [&] {
          std::size_t count = 0;
          for (std::size_t i = 0; i != errors.count(); ++i)
            count += errors[i].to_string().find("compiled with other checks") != std::string::npos;
          return count;
        };
        Server server;
        maker->begin(server);
        std::vector<std::uint64_t*> objects;
        for (int i = 0; i != 40; ++i) objects.push_back((i % 2 == 0 ? maker : user)->pop(server, pool));
        std::set<std::uint64_t*> const distinct(objects.begin(), objects.end());
        CHECK(distinct.size() == 40);
        for (std::uint64_t* const object : objects) CHECK(*object == 7);
        for (std::size_t i = 0; i != 40; ++i) (i % 3 == 0 ? maker : user)->push(server, pool, objects[i]);
        for (int i = 0; i != 5; ++i) user->push(server, pool, user->pop(server, pool));
        bool const alike = maker->checked == user->checked;
        if (alike || pool == named) CHECK(errors.count() == 0);
        user->end(server);
        CHECK((says_why() == 0) == alike);
      }
}

#if __STDC_HOSTED__ && defined(__GNUC__)
TEST_CASE("trap: ODR by macro: a file that knows of no operating system leaves the others theirs") {
  CHECK(bare_pool_works());
  // Its functions come first in the program: a hosted file must not get its error handler, which only traps.
  fastalloc::FixedPool<int> full(1);
  auto const only = full.allocate(1);
#if FASTALLOC_EXCEPTIONS
  CHECK_THROWS_AS(full.allocate(2), fastalloc::PoolExhausted);
#endif
  auto const ending = test::run_in_child(
      [] { fastalloc::detail::report(fastalloc::Error{.code = fastalloc::ErrorCode::double_free, .text = "twice"}); });
  CHECK(ending.errors.find("twice") != std::string::npos);
  CHECK(test::run_in_child([] { bare_pool_fails(); }).errors.find("fastalloc") == std::string::npos);
}

TEST_CASE("trap: ODR by macro: pools of different modes begin their keys at different numbers") {
  fastalloc::FixedPool<int, fastalloc::Generations> first(2);
  auto const object = first.allocate(1);
  CHECK_FALSE(first.contains(bare_key()));
  CHECK(first.contains(first.key(object)));
}
#endif

TEST_CASE("trap: ODR by macro: objects of a Pooled class are made in one file and deleted in another") {
  test::RecordedErrors errors;
  File const* const files[] = {&unchecked_file, &checked_file, &ndebug_file};
  for (File const* maker : files)
    for (File const* user : files) {
      std::set<Sprite*> sprites;
      std::set<Sound*> sounds;
      for (int i = 0; i != 2000; ++i) sprites.insert(maker->make_sprite()), sounds.insert(maker->make_sound());
      CHECK((sprites.size() == 2000 && sounds.size() == 2000));
      CHECK((Sprite::allocated() == 2000 && Sound::allocated() == 2000));
      for (Sprite* sprite : sprites) user->kill_sprite(sprite);
      for (Sound* sound : sounds) user->kill_sound(sound);
      CHECK((Sprite::allocated() == 0 && Sound::allocated() == 0));
    }
  CHECK((Sprite::pool().check_invariants() && Sound::pool().check_invariants()));
  CHECK(errors.count() == 0);
}

TEST_CASE("trap: ODR by macro: the one list of pools has one lock") {
  CHECK(checked_file.list_lock() == unchecked_file.list_lock());
  CHECK(checked_file.list_lock() == ndebug_file.list_lock());
}

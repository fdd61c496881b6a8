// SPDX-License-Identifier: MIT OR Apache-2.0
// SQLite with its memory from a PoolResource: sqlite3_config(SQLITE_CONFIG_MALLOC), before the first other call.
#include "client.hpp"

#include <sqlite3.h>

#include <string>

namespace {

template <class Source> void use_memory() {
  if constexpr (Source::has_hooks) {
    static sqlite3_mem_methods const methods = {
        [](int bytes) { return Source::malloc(static_cast<std::size_t>(bytes)); },
        Source::free,
        [](void* p, int bytes) { return Source::realloc(p, static_cast<std::size_t>(bytes)); },
        [](void* p) { return static_cast<int>(Source::usable_size(p)); },
        [](int bytes) { return static_cast<int>(Source::good_size(static_cast<std::size_t>(bytes))); },
        [](void*) { return SQLITE_OK; },
        [](void*) {},
        nullptr};
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK) client::give_up("SQLite takes no hooks");
  }
}

class Database {
 public:
  Database() {
    if (sqlite3_open(":memory:", &handle_) != SQLITE_OK) client::give_up("no database");
  }
  Database(Database const&) = delete;
  Database& operator=(Database const&) = delete;
  ~Database() { sqlite3_close(handle_); }

  /// Effects: runs the statements, and adds all that they return to the checksum.
  void operator()(std::string const& statements) {
    auto const add = [](void* sum, int columns, char** values, char**) {
      auto& total = *static_cast<std::uint64_t*>(sum);
      for (int i = 0; i != columns; ++i) total = client::checksum(values[i] != nullptr ? values[i] : "null", total);
      return 0;
    };
    char* message = nullptr;
    if (sqlite3_exec(handle_, statements.c_str(), add, &sum_, &message) != SQLITE_OK) client::give_up(message);
  }
  [[nodiscard]] sqlite3* handle() const noexcept { return handle_; }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }

 private:
  sqlite3* handle_ = nullptr;
  std::uint64_t sum_ = client::checksum("");
};

/// `size` rows with names of different lengths.
void fill(Database& database, int size) {
  client::Random random;
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(database.handle(), "INSERT INTO item VALUES (?, ?, ?, ?)", -1, &insert, nullptr);
  database("BEGIN");
  for (int i = 0; i != size; ++i) {
    std::string name = "item ";
    for (std::uint32_t left = 4 + random.below(40); left != 0; --left)
      name += static_cast<char>('a' + random.below(26));
    sqlite3_bind_int(insert, 1, i);
    sqlite3_bind_int(insert, 2, static_cast<int>(random.below(1000)));
    sqlite3_bind_text(insert, 3, name.data(), static_cast<int>(name.size()), SQLITE_TRANSIENT);
    sqlite3_bind_double(insert, 4, random.below(100000) / 4.0);
    if (sqlite3_step(insert) != SQLITE_DONE) client::give_up("a row is refused");
    sqlite3_reset(insert);
  }
  database("COMMIT");
  sqlite3_finalize(insert);
}

template <class Source> std::uint64_t work(int size) {
  use_memory<Source>();
  std::uint64_t sum = 0;
  {
    Database database;
    database("CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, name TEXT, price REAL)");
    fill(database, size);
    database("CREATE INDEX item_name ON item (name); CREATE INDEX item_kind ON item (kind, price)");
    database("SELECT kind, count(*), sum(price), group_concat(substr(name, 6, 4)) FROM item GROUP BY kind");
    database("SELECT a.name, b.name FROM item a JOIN item b ON b.id = a.kind WHERE a.kind < 200 ORDER BY a.name");
    database("UPDATE item SET name = name || ' ' || upper(name) WHERE kind % 7 = 0");
    database("DELETE FROM item WHERE kind % 3 = 0; VACUUM");
    for (int i = 0; i != 2000; ++i)  // many small statements, as from a server
      database("SELECT id, name FROM item WHERE kind = " + std::to_string(i % 1000) + " ORDER BY price LIMIT 5");
    sum = database.sum();
  }
  sqlite3_shutdown();
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  return client::main(
      argc, argv, 2000, 200000,
      {{"default", work<client::Plain>}, {"fastalloc", work<client::Pools>}, {"counted", work<client::Counted>}});
}

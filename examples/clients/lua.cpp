// SPDX-License-Identifier: MIT OR Apache-2.0
// Lua 5.4 with its memory from a PoolResource. lua_Alloc passes the size of what it frees, so no header is needed:
// PoolResource::try_reallocate() and deallocate() are the whole hook.
#include "client.hpp"

#include <lua.hpp>

namespace {

/// Makes much garbage: trees, strings, closures, and tables that grow. `size` is global. Returns a string.
constexpr char script[] = R"(
local function tree(depth)
  if depth == 0 then return {} end
  return { tree(depth - 1), tree(depth - 1) }
end
local function count(node)
  if not node[1] then return 1 end
  return 1 + count(node[1]) + count(node[2])
end

local results = {}
local long_lived = tree(size < 100 and 10 or 17)
for round = 1, size do
  -- trees that die young
  local nodes = 0
  for i = 1, 8 do nodes = nodes + count(tree(8 + i % 4)) end
  -- strings: pieces, joined and taken apart
  local pieces = {}
  for i = 1, 2000 do pieces[i] = string.format("%d:%x", i * round, i + round) end
  local text = table.concat(pieces, ",")
  local sum = 0
  for word in text:gmatch("[^,]+") do sum = (sum * 31 + #word + word:byte(-1)) % 1000000007 end
  -- a table with string keys, half of which go away
  local map = {}
  for i = 1, 1500 do map["key" .. i * 7919 % 10007] = { id = i, name = "n" .. i, tags = { i, i + 1 } } end
  for i = 1, 1500, 2 do map["key" .. i * 7919 % 10007] = nil end
  local left = 0
  for i = 1, 1500 do
    local entry = map["key" .. i * 7919 % 10007]
    if entry then left = left + entry.id + #entry.name + entry.tags[2] end
  end
  -- closures
  local adders = {}
  for i = 1, 1000 do local n = i; adders[i] = function(x) n = n + x; return n end end
  for i = 1, 1000 do left = left + adders[i](round) end
  results[round] = string.format("%d %d %d %d", nodes, #text, sum, left)
end
return table.concat(results, ";") .. ";" .. count(long_lived)
)";

template <class Source> void* renew(void*, void* block, std::size_t old_bytes, std::size_t bytes) {
  return Source::renew(block, old_bytes, bytes);
}

template <class Source> lua_State* new_state() {
  if constexpr (Source::has_hooks) return lua_newstate(renew<Source>, nullptr);
  else return luaL_newstate();
}

template <class Source> std::uint64_t work(int size) {
  lua_State* const lua = new_state<Source>();
  if (lua == nullptr) client::give_up("no memory for Lua");
  luaL_openlibs(lua);
  lua_pushinteger(lua, size);
  lua_setglobal(lua, "size");
  if (luaL_dostring(lua, script) != LUA_OK) client::give_up(lua_tostring(lua, -1));
  std::size_t length = 0;
  char const* const text = lua_tolstring(lua, -1, &length);
  std::uint64_t const sum = client::checksum({text, length});
  lua_close(lua);
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  return client::main(
      argc, argv, 3, 150,
      {{"default", work<client::Plain>}, {"fastalloc", work<client::Pools>}, {"counted", work<client::Counted>}});
}

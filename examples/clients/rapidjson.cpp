// SPDX-License-Identifier: MIT OR Apache-2.0
// RapidJSON with a document's memory from a PoolResource. Its allocators free without a size: CAllocator.
//
// The default here is rapidjson::CrtAllocator, malloc() for each array, object and string. RapidJSON's own arena
// (MemoryPoolAllocator) is faster than both, and frees nothing before the document ends.
#include "client.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <string>

namespace {

template <class Source> struct HookAllocator {
  static constexpr bool kNeedFree = true;
  void* Malloc(std::size_t bytes) { return bytes == 0 ? nullptr : Source::malloc(bytes); }
  void* Realloc(void* p, std::size_t, std::size_t bytes) { return Source::realloc(p, bytes); }
  static void Free(void* p) { Source::free(p); }
};
template <class Source>
using Allocator =
    std::conditional_t<std::is_same_v<Source, client::Plain>, rapidjson::CrtAllocator, HookAllocator<Source>>;

/// A catalogue of `size` articles, about 210 bytes each.
std::string make_text(int size) {
  client::Random random;
  std::string text = "[";
  auto const word = [&] {
    text += '"';
    for (std::uint32_t left = 3 + random.below(random.below(8) == 0 ? 60 : 20); left != 0; --left)
      text += static_cast<char>('a' + random.below(26));
    text += '"';
  };
  for (int i = 0; i != size; ++i) {
    text += i == 0 ? "\n" : ",\n";
    text += "{\"id\":" + std::to_string(i) + ",\"name\":";
    word();
    text += ",\"price\":" + std::to_string(random.below(100000)) + ".25,\"tags\":[";
    for (std::uint32_t tag = 0, count = random.below(7); tag != count; ++tag) {
      if (tag != 0) text += ',';
      word();
    }
    text += "],\"size\":{\"width\":" + std::to_string(random.below(500)) + ",\"unit\":";
    word();
    text += "},\"description\":";
    word();
    text += random.below(2) == 0 ? ",\"sold\":true}" : ",\"sold\":false}";
  }
  return text + "\n]";
}

template <class Source> std::uint64_t work(int size) {
  using Memory = Allocator<Source>;
  using Document = rapidjson::GenericDocument<rapidjson::UTF8<>, Memory, Memory>;
  using Value = typename Document::ValueType;
  using Buffer = rapidjson::GenericStringBuffer<rapidjson::UTF8<>, Memory>;
  std::string const text = make_text(size);

  Document document;
  document.Parse(text.data(), text.size());
  if (document.HasParseError()) client::give_up("the text is no JSON");
  // Sold articles leave; the others get a member and a longer name.
  Memory& memory = document.GetAllocator();
  for (auto article = document.Begin(); article != document.End();)
    if ((*article)["sold"].GetBool()) {
      article = document.Erase(article);
      article += document.End() - article > 64 ? 64 : document.End() - article;
    } else ++article;
  for (Value& article : document.GetArray()) {
    std::string const name = article["name"].GetString() + std::string(" (new)");
    article["name"].SetString(name.data(), static_cast<rapidjson::SizeType>(name.size()), memory);
    article.AddMember("total", article["price"].GetDouble() * article["size"]["width"].GetInt(), memory);
    article.RemoveMember("description");
  }
  Buffer buffer;
  rapidjson::Writer<Buffer, rapidjson::UTF8<>, rapidjson::UTF8<>, Memory> writer(buffer);
  document.Accept(writer);
  return client::checksum({buffer.GetString(), buffer.GetSize()});
}

}  // namespace

int main(int argc, char** argv) {
  return client::main(
      argc, argv, 1000, 58000,
      {{"default", work<client::Plain>}, {"fastalloc", work<client::Pools>}, {"counted", work<client::Counted>}});
}

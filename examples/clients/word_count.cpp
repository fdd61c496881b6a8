// SPDX-License-Identifier: MIT OR Apache-2.0
// A program with std::pmr containers: words of a text are counted, and listed by frequency. One line hooks a
// PoolResource in: std::pmr::set_default_resource().
#include "client.hpp"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

/// Words of which some are frequent and most are rare, of 2 to 33 letters.
class Text {
 public:
  /// Effects: puts the next word into `word`.
  void next(std::pmr::string& word) {
    std::uint32_t const range = std::uint32_t{1} << random_.below(21);
    std::uint32_t number = random_.below(range) + range;
    std::uint32_t const length = 2 + number * 2654435761U % (number % 3 == 0 ? 32 : 12);
    word.clear();
    for (std::uint32_t i = 0; i != length; ++i) {
      word += static_cast<char>('a' + number % 26);
      number = number / 3 + i * 7919 + 1;
    }
  }

 private:
  client::Random random_;
};

std::uint64_t count_words(int size) {
  std::pmr::unordered_map<std::pmr::string, std::uint32_t> counts;
  std::pmr::string word;
  Text text;
  for (int i = 0; i != size; ++i) {
    text.next(word);
    ++counts[word];
  }
  // The words of each frequency, and then those of each first letter, sorted.
  std::pmr::map<std::uint32_t, std::pmr::vector<std::pmr::string>> by_count;
  for (auto const& [each, count] : counts) by_count[count].push_back(each);
  std::pmr::map<std::pmr::string, std::uint32_t> sorted;
  for (auto const& [each, count] : counts)
    if (count > 1) sorted.emplace(each, count);
  std::uint64_t sum = client::checksum("");
  for (auto const& [each, count] : sorted) sum = client::checksum(each, sum) + count;
  for (auto const& [count, words] : by_count) sum = sum * 31 + count * words.size();
  return sum;
}

std::uint64_t by_default(int size) { return count_words(size); }

std::uint64_t by_std_pool(int size) {
  static std::pmr::unsynchronized_pool_resource pool;
  std::pmr::set_default_resource(&pool);
  return count_words(size);
}

template <class Source> std::uint64_t work(int size) {
  std::pmr::set_default_resource(Source::resource());
  return count_words(size);
}

}  // namespace

int main(int argc, char** argv) {
  return client::main(argc, argv, 20000, 1600000,
                      {{"default", by_default},
                       {"fastalloc", work<client::Pools>},
                       {"std_pool", by_std_pool},
                       {"counted", work<client::Counted>}});
}

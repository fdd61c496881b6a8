// SPDX-License-Identifier: MIT OR Apache-2.0
// Inline first, then heap: the usual number of objects lies inside their owner, and more of them are no error.
//
// Use it where most owners need a few objects, some need many, and there are so many owners that a heap allocation for
// each hurts: the nodes of an expression, the pending requests of a connection, the contacts of a body. The policy
// HeapFallback takes what does not fit from the heap. Handles are the same, and heap_objects() tells how often the
// number was too small.
#include <fastalloc/fastalloc.hpp>

#include <cstdio>
#include <string_view>
#include <utility>

namespace {

struct Node;
using Nodes = fastalloc::FixedPool<Node, fastalloc::InlineStorage<8>, fastalloc::HeapFallback>;

/// A list of words in brackets, as in (a (b c) d).
struct Node {
  std::string_view word;
  fastalloc::Handle<Node> child = nullptr, next = nullptr;  // erased: Node is incomplete here
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  fastalloc::Handle<Node> parse() {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
    if (text_.empty()) return nullptr;
    auto const end = text_.find_first_of(" ()");
    if (end != 0) {
      auto node = nodes_.allocate(text_.substr(0, end));
      text_.remove_prefix(end == std::string_view::npos ? text_.size() : end);
      node->next = parse();
      return node;
    }
    char const bracket = text_.front();
    text_.remove_prefix(1);
    if (bracket == ')') return nullptr;
    auto node = nodes_.allocate();
    node->child = parse();
    node->next = parse();
    return node;
  }
  [[nodiscard]] std::size_t nodes_inside() const { return nodes_.allocated(); }
  [[nodiscard]] std::size_t nodes_on_heap() const { return nodes_.heap_objects(); }

 private:
  std::string_view text_;
  Nodes nodes_;
};

std::size_t count(Node const* node) {
  return node == nullptr ? 0 : (node->word.empty() ? 0 : 1) + count(node->child.get()) + count(node->next.get());
}

}  // namespace

int main() {
  for (char const* text : {"(add 1 (mul 2 3))", "(list 1 2 3 4 5 6 7 8 9 (10 11 12))"}) {
    Parser parser(text);  // on the stack, with its eight nodes
    auto tree = parser.parse();
    std::printf("%s: %zu words; nodes inside: %zu, on the heap: %zu\n", text, count(tree.get()), parser.nodes_inside(),
                parser.nodes_on_heap());
    tree.reset();
    std::printf("  afterwards: %zu and %zu\n", parser.nodes_inside(), parser.nodes_on_heap());
  }
}

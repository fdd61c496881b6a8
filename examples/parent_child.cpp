// SPDX-License-Identifier: MIT OR Apache-2.0
// Qt-style parent and child: `new Button(&window)`, and whoever ends a window ends its buttons.
//
// Use it where a framework, or code that is ported, owns objects by raw pointers and ends them with `delete`. Each
// class derives from Pooled, and so has a pool of its own behind its `new`; the code that says new and delete stays as
// it is. Where the ownership is yours to design, take handles: scene_graph.cpp.
#include <fastalloc/adapters/pooled.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace {

/// Ends its children, and leaves its parent.
class Object {
 public:
  explicit Object(Object* parent) : parent_(parent) {
    if (parent_ != nullptr) parent_->children_.push_back(this);
  }
  Object(Object const&) = delete;
  Object& operator=(Object const&) = delete;
  virtual ~Object() {
    while (!children_.empty()) delete children_.back();  // the class's own operator delete: its pool
    if (parent_ != nullptr) std::erase(parent_->children_, this);
  }
  void set_parent(Object* parent) {
    if (parent_ != nullptr) std::erase(parent_->children_, this);
    parent_ = parent;
    if (parent_ != nullptr) parent_->children_.push_back(this);
  }

 private:
  Object* parent_;
  std::vector<Object*> children_;
};

// One thread makes and ends widgets, so NoLock.
class Window : public Object, public fastalloc::Pooled<Window, fastalloc::NoLock> {
 public:
  explicit Window(Object* parent = nullptr) : Object(parent) {}
};
class Button : public Object, public fastalloc::Pooled<Button, fastalloc::NoLock> {
 public:
  Button(std::string text, Object* parent) : Object(parent), text_(std::move(text)) {}

 private:
  std::string text_;
};
class Label : public Object, public fastalloc::Pooled<Label, fastalloc::NoLock> {
 public:
  Label(std::string text, Object* parent) : Object(parent), text_(std::move(text)) {}

 private:
  std::string text_;
};

void print(char const* when) {
  std::printf("%s: %zu windows, %zu buttons, %zu labels\n", when, Window::allocated(), Button::allocated(),
              Label::allocated());
}

}  // namespace

int main() {
  auto* const main_window = new Window;
  auto* const dialog = new Window(main_window);
  new Label("Save the changes?", dialog);
  auto* const save = new Button("Save", dialog);
  auto* const discard = new Button("Discard", dialog);
  new Button("Cancel", dialog);
  print("a window with a dialog");

  delete discard;
  print("a button is deleted");

  save->set_parent(main_window);
  delete dialog;
  print("the dialog is closed, after one button went to the main window");

  {
    Window splash;  // not every object is from `new`
    new Label("Loading", &splash);
    print("a window on the stack");
  }
  delete main_window;
  print("the main window is closed");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
// Two shared libraries: one allocates, the other releases.
#pragma once

#include <fastalloc/fastalloc.hpp>

#include <string>

namespace shared {

using Pool = fastalloc::GrowingPool<std::string>;

Pool& the_pool();                                          // in maker
fastalloc::Handle<std::string> make(char const* text);     // in maker
Pool::handle_type make_typed(char const* text);            // in maker
std::size_t consume(fastalloc::Handle<std::string> text);  // in taker
std::size_t consume_typed(Pool::handle_type text);         // in taker
bool taker_catches_exhaustion();                           // in taker, thrown in maker
void exhaust();                                            // in maker

}  // namespace shared

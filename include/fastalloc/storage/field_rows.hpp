// SPDX-License-Identifier: MIT OR Apache-2.0
// FieldRow: compares two descriptions of a pool field by field, for what other processes and later runs left behind.
#pragma once

#include <fastalloc/error.hpp>

#include <cstddef>
#include <cstdint>

namespace fastalloc::detail::inline FASTALLOC_ABI {

/// A field that two descriptions must have in common, and what to do where they differ.
template <class Fields> struct FieldRow {
  std::uint64_t Fields::* field;
  char const* unit;
  char const* text;
};
/// True if the fields of all rows are equal; otherwise sets text, unit, requested and limit of the error, an Error or
/// a part of one.
template <class Fields, std::size_t N, class E>
bool agree(FieldRow<Fields> const (&rows)[N], Fields const& requested, Fields const& limit, E& error) noexcept {
  for (FieldRow<Fields> const& row : rows) {
    if (requested.*row.field == limit.*row.field) continue;
    error.requested = static_cast<std::size_t>(requested.*row.field);
    error.limit = static_cast<std::size_t>(limit.*row.field);
    error.text = row.text;
    error.unit = row.unit;
    return false;
  }
  return true;
}

}  // namespace fastalloc::detail::inline FASTALLOC_ABI

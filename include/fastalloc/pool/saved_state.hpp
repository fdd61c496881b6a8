// SPDX-License-Identifier: MIT OR Apache-2.0
// SavedState: a pool as bytes, and back in place. BasicPool declares and documents the functions.
//
//   | SavedHeader | order of the free slots | generations | padding | slots up to the bump pointer |
//   |  checksum covers the rest of this ....................... |  any bytes are a T  |
//
//   order   BitmapAllocator    one bit a slot up to the bump pointer, set while it is free
//           StackAllocator     its stack: offsets in granules, 4 bytes for each free slot
//           FreeListAllocator, users' allocators: places, 4 bytes for each free slot, the next one to be handed out
//                              last
//
// All values are in the byte order of the machine. Slots hold no addresses that matter: links of free slots are written
// anew. So another process, and a later run, can load what this one saved. Everything is verified before anything is
// changed.
#pragma once

#include <fastalloc/pool/identities.hpp>
#include <fastalloc/storage/field_rows.hpp>

#include <bit>
#include <cstring>

namespace fastalloc::detail::inline FASTALLOC_MODE {

/// The part of an Error that says what is wrong with data. The whole is made if it is needed: it fills 200 bytes.
struct Refusal {
  char const* text = "";
  std::size_t requested = 0;
  std::size_t limit = 0;
  char const* unit = "bytes";
};

struct SavedHeader {
  static constexpr std::uint64_t right_magic = 0x6C6F'6F70'7473'6166;  ///< "fastpool" in memory, little-endian
  std::uint64_t magic = right_magic;
  std::uint64_t checksum = 0;
  std::uint64_t version = 1;     ///< of this format; increases with every change of it
  std::uint64_t word_bytes = 0;  ///< of a std::size_t
  std::uint64_t object_bytes = 0;
  std::uint64_t slot_bytes = 0;  ///< from one slot to the next
  std::uint64_t slot_count = 0;
  std::uint64_t generation_bits = 0;
  std::uint64_t order = 0;       ///< a SavedOrder
  std::uint64_t bytes = 0;       ///< of everything
  std::uint64_t high_water = 0;  ///< slots up to the bump pointer
  std::uint64_t returned = 0;
  std::uint64_t words = 0;     ///< generations
  std::uint64_t reserved = 0;  ///< slots with a key and no object
  std::uint64_t start = 0;     ///< the first generation of a slot

  /// True if `there`, which was saved, fits this pool; otherwise sets the error: requested there, limit here.
  [[nodiscard]] bool accepts(SavedHeader const& there, Refusal& error) const noexcept {
    static constexpr FieldRow<SavedHeader> rows[] = {
        {&SavedHeader::version, "(version)",
         "the data has another format than this version of fastalloc reads (the limit); load it with the version that "
         "saved it, or save_with() there and load_with() here"},
        {&SavedHeader::word_bytes, "bytes",
         "the data was saved on a processor with words of another size (the limit); use save_with() and load_with()"},
        {&SavedHeader::object_bytes, "bytes",
         "the data holds objects of another size than T (the limit); load it into a pool of the same T"},
        {&SavedHeader::slot_bytes, "bytes",
         "the slots of the saved pool are further or less far apart (the limit); use the same policies and "
         "PoolConfig::alignment"},
        {&SavedHeader::slot_count, "slots",
         "the saved pool has another capacity (the limit); create this one with the same"},
        {&SavedHeader::generation_bits, "bits",
         "the saved pool has keys of another size (the limit; 0: none); use the same keys policy"},
        {&SavedHeader::order, "(order)",
         "the saved pool has another slot allocator (0: a list, 1: StackAllocator, 2: BitmapAllocator; the limit is "
         "this pool's); use the same"}};
    return agree(rows, there, *this, error);
  }

  /// Of all but the magic number and the checksum itself: sums of the words, and sums of these sums, in eight lanes. An
  /// exchange of two words changes the second sum. 60 to 70 bytes a nanosecond; with four words instead of pairs of
  /// them half of that, and with multiplications a sixth. (Variables, not arrays: g++ -O2 keeps arrays in memory.)
  [[nodiscard]] static std::uint64_t sum(std::byte const* data, std::size_t bytes) noexcept {
    using Word = std::uint64_t;
    Pair a{bytes, 1}, b{2, 3}, c{4, 5}, d{6, 7}, aa{}, bb{}, cc{}, dd{};
    auto const add = [](Pair& sum, Pair& sum_of_sums, std::byte const* from) {
      Pair next;
      std::memcpy(&next, from, sizeof next);
      sum += next, sum_of_sums += sum;
    };
    constexpr std::size_t step = sizeof(Pair);
    for (; bytes >= 4 * step; bytes -= 4 * step, data += 4 * step)
      add(a, aa, data), add(b, bb, data + step), add(c, cc, data + 2 * step), add(d, dd, data + 3 * step);
    for (; bytes != 0; data += sizeof(Word)) {
      Word word = 0;
      std::size_t const size = smaller(bytes, sizeof word);
      std::memcpy(&word, data, size);
      a[0] += word, aa[0] += a[0];
      bytes -= size;
    }
    Word result = 0;
    Pair const sums[] = {a, b, c, d, aa, bb, cc, dd};
    for (Pair const& pair : sums)
      for (int lane = 0; lane != 2; ++lane) {
        result = (result ^ pair[lane]) * 0x9E37'79B9'7F4A'7C15;
        result ^= result >> 32;
      }
    return result;
  }

 private:
#if defined(__GNUC__)
  using Pair [[gnu::vector_size(16)]] = std::uint64_t;
#else
  struct Pair {
    std::uint64_t lanes[2];
    std::uint64_t& operator[](int lane) noexcept { return lanes[lane]; }
    std::uint64_t operator[](int lane) const noexcept { return lanes[lane]; }
    void operator+=(Pair const& other) noexcept { lanes[0] += other.lanes[0], lanes[1] += other.lanes[1]; }
  };
#endif
};

enum class SavedOrder : unsigned char { list, stack, bitmap };

template <class Derived, class T, class Kind, class... Ps> class SavedState<PoolObjects<Derived, T, Kind, Ps...>> {
  using Pool = PoolObjects<Derived, T, Kind, Ps...>;
  using Core = typename Pool::Core;
  using Shape = typename Core::shape_type;
  using Supply = typename Pool::Supply;
  using Slots = typename Supply::Slots;
  using Checks = typename Pool::Checks;
  using Place = std::uint32_t;
  static constexpr SavedOrder order = TracksOccupancy<Slots> ? SavedOrder::bitmap
                                      : std::same_as<typename Pool::Types::slot_allocator, StackAllocator>
                                          ? SavedOrder::stack
                                          : SavedOrder::list;
  static constexpr bool bitmap = order == SavedOrder::bitmap;
  /// Its for_each() begins with the slot that is handed out next.
  static constexpr bool next_first = LinksSlots<Slots>;
  static constexpr std::size_t header_bytes = sizeof(SavedHeader);
  static constexpr std::size_t checked_from = 2 * sizeof(std::uint64_t);  ///< behind magic number and checksum
  /// Bytes; of the slots, in the data. With 16, memcpy may take 1.4 times as long; on Zen 4, at some distances, 17
  /// times.
  static constexpr std::size_t alignment = 64;

 public:
  explicit SavedState(Pool& pool) noexcept : pool_(pool) {}

  [[nodiscard]] std::size_t bytes() {
    check_pool();
    pool_.open_inline();
    return described().bytes;
  }

  [[nodiscard]] Result<std::size_t> save(std::span<std::byte> out) {
    check_pool();
    pool_.open_inline();
    SavedHeader header;
    bool fits = false;
    {
      [[maybe_unused]] auto const guard = core().inside();
      supply().check_links();
      header = describe();
      fits = out.size() >= header.bytes;
      if (fits) write(header, out.data());
    }
    core().report_damage(nullptr);
    if (fits) return static_cast<std::size_t>(header.bytes);
    return error_of(
        ErrorCode::invalid_configuration,
        {.text = "the span is too small for the pool's state (the requested bytes); pass saved_bytes() bytes",
         .requested = static_cast<std::size_t>(header.bytes),
         .limit = out.size()});
  }

  [[nodiscard]] Result<void> load(std::span<std::byte const> data) {
    check_pool();
    pool_.open_inline();
    Refusal refusal;
    SavedHeader header;
    if (!read(data, header, refusal)) return error_of(ErrorCode::invalid_data, refusal);
    {
      [[maybe_unused]] auto const guard = core().inside();
      restore(header, data.data());
    }
    core().report_damage(nullptr);
    return {};
  }

  template <class F> void visit(F& f) {
    auto const name = [&](T const& object) {
      if constexpr (Shape::keyed) return static_cast<Derived&>(pool_).key(&object);
      else return static_cast<Derived&>(pool_).index_of(&object);
    };
    static_cast<Derived&>(pool_).for_each([&](T const& object) { f(name(object), object); });
  }

  /// What the function of load_with() builds objects with.
  class Builder {
   public:
    template <class Where, class... Args> T& operator()(Where where, Args&&... args) const {
      return *static_cast<Derived&>(pool_).allocate_at(where, static_cast<Args&&>(args)...).release();
    }
    /// Null if the other would throw an error of the pool.
    template <class Where, class... Args> T* try_build(Where where, Args&&... args) const {
      return static_cast<Derived&>(pool_).try_allocate_at(where, static_cast<Args&&>(args)...).release();
    }

   private:
    friend class SavedState;
    explicit Builder(Pool& pool) noexcept : pool_(pool) {}
    Pool& pool_;
  };

  template <class F> void build(F& f) {
    pool_.open_inline();
    if (core().allocated() != 0) {
      Error error =
          core().describe(ErrorCode::invalid_configuration,
                          "load_with() builds all objects of a pool, and this one has some; release them before");
      pool_.fail_typed(error);
    }
    struct Undo {
      Pool& pool;
      bool done = false;
      ~Undo() {
        if (!done)
          pool.core_.visit(typename Pool::Holds{pool},
                           [&](std::byte* slot) { return pool.release_from_handle(Pool::object_in(slot)), true; });
      }
    } undo{pool_};
    Builder const builder(pool_);  // f may take it by reference
    f(builder);
    undo.done = true;
  }

 private:
  static constexpr void check_pool() noexcept {
    static_assert(std::is_trivially_copyable_v<T>,
                  "fastalloc: save() and load() copy the bytes of objects, and T is not trivially copyable; use "
                  "save_with(f) and load_with(f), which leave the bytes to you");
    static_assert(!Kind::local,
                  "fastalloc: each thread of a ThreadLocalPool has its own slots; save a ThreadSafePool<T, NoCache>");
    static_assert(
        !Pool::Growing,
        "fastalloc: save() and load() need one block, which is there before; use FixedPool without CompactHandles, or "
        "save_with(f) and load_with(f)");
    static_assert(!Core::Caches::enabled,
                  "fastalloc: threads keep free slots of this pool in caches, whose order is not saved; write NoCache "
                  "after T");
    static_assert(!LockFreePolicy<typename Pool::Types::P::lock>,
                  "fastalloc: other threads change a LockFree pool while it is copied; use a lock, or none");
    static_assert(
        !Pool::Types::shares && !Pool::Lifetime::keeps_objects,
        "fastalloc: owners' counts (Shared, AtomicShared) and kept objects (Recycle) belong to this run and are "
        "not saved; leave these policies out, or use save_with(f) and load_with(f)");
    static_assert(ErasableSlots<Slots> || bitmap,
                  "fastalloc: load() needs a slot allocator with erase_if(predicate, blocks); add "
                  "it, or use StackAllocator, FreeListAllocator or BitmapAllocator");
  }
  [[nodiscard]] Core& core() noexcept { return pool_.core_; }
  [[nodiscard]] Supply& supply() noexcept { return pool_.core_.supply_; }
  [[nodiscard]] auto& blocks() noexcept { return supply().blocks(); }
  [[nodiscard]] Block& block() noexcept { return supply().blocks()[0]; }
  [[nodiscard]] std::byte* slot(std::size_t place) noexcept { return block().data + place * core().stride(); }

  [[nodiscard]] FASTALLOC_COLD Error error_of(ErrorCode code, Refusal const& refusal) {
    Error error = core().describe(code, refusal.text, refusal.requested);
    error.limit = refusal.limit;
    error.unit = refusal.unit;
    error.type_name = Pool::type.name;
    return error;
  }

  static std::size_t order_bytes(SavedHeader const& header) noexcept {
    if constexpr (bitmap) return words_for(static_cast<std::size_t>(header.high_water)) * sizeof(std::size_t);
    else return static_cast<std::size_t>(header.returned) * sizeof(Place);
  }
  static std::size_t checked_bytes(SavedHeader const& header) noexcept {
    return header_bytes + order_bytes(header) + static_cast<std::size_t>(header.words) * sizeof(GenerationWord);
  }
  static std::size_t slots_at(SavedHeader const& header) noexcept { return round_up(checked_bytes(header), alignment); }

  /// The header of the pool as it is, without a checksum; describe() requires the lock.
  [[nodiscard]] SavedHeader described() noexcept {
    [[maybe_unused]] auto const guard = core().inside();
    return describe();
  }
  [[nodiscard]] SavedHeader describe() noexcept {
    supply().sync_bump_pointer();
    SavedHeader header{.word_bytes = sizeof(std::size_t),
                       .object_bytes = sizeof(T),
                       .slot_bytes = core().stride(),
                       .slot_count = block().slot_count,
                       .generation_bits = static_cast<std::uint64_t>(Shape::generation_bits),
                       .order = static_cast<std::uint64_t>(order),
                       .high_water = block().high_water,
                       .returned = supply().returned()};
    if constexpr (Shape::keyed) {
      header.words = blocks().keys().known();
      header.start = blocks().keys().start();
      header.reserved = blocks().keys().reserved_count();
    }
    header.bytes = slots_at(header) + header.high_water * header.slot_bytes;
    return header;
  }

  void write(SavedHeader& header, std::byte* out) noexcept {
    std::byte* at = out + header_bytes;
    auto& list = supply().slots_;
    if constexpr (bitmap) {
      supply().settle();
      for (std::size_t word = 0; word != words_for(block().high_water); ++word, at += sizeof(std::size_t)) {
        std::size_t const bits = list.free_bits(word, blocks());
        std::memcpy(at, &bits, sizeof bits);
      }
    } else if constexpr (order == SavedOrder::stack) {
      supply().flush_last_freed();
      if (header.returned != 0) std::memcpy(at, list.stack_, order_bytes(header));
      at += order_bytes(header);
    } else {
      supply().flush_last_freed();
      std::byte* place_at = next_first ? at + order_bytes(header) : at;
      list.for_each(
          [&](std::byte* slot) {
            auto const place = static_cast<Place>(blocks().place(block(), slot));
            if constexpr (next_first) place_at -= sizeof place;
            std::memcpy(place_at, &place, sizeof place);
            if constexpr (!next_first) place_at += sizeof place;
          },
          blocks());
      at += order_bytes(header);
    }
    if constexpr (Shape::keyed)
      std::memcpy(at, blocks().keys().words(), static_cast<std::size_t>(header.words) * sizeof(GenerationWord));
    std::size_t const checked = checked_bytes(header), data_at = slots_at(header);
    std::memset(out + checked, 0, data_at - checked);
    std::memcpy(out, &header, sizeof header);
    header.checksum = SavedHeader::sum(out + checked_from, checked - checked_from);
    std::memcpy(out, &header, sizeof header);

    std::size_t const bytes = block().high_water * core().stride();
    if constexpr (covers) unpoison(block().data, bytes);
    if (bytes != 0) std::memcpy(out + data_at, block().data, bytes);
    if constexpr (covers) list.for_each([&](std::byte* slot) { cover(slot); }, blocks());
  }

  /// Returns: true if the data can be loaded; otherwise sets the error.
  [[nodiscard]] bool read(std::span<std::byte const> data, SavedHeader& header, Refusal& error) {
    auto const refuse = [&](char const* text, std::uint64_t requested, std::uint64_t limit, char const* unit) {
      error = {text, static_cast<std::size_t>(requested), static_cast<std::size_t>(limit), unit};
      return false;
    };
    constexpr char const* cut =
        "the data ends before its end (the requested bytes): it was cut, or not read to the end";
    if (data.size() < header_bytes) return refuse(cut, header_bytes, data.size(), "bytes");
    std::memcpy(&header, data.data(), sizeof header);
    if (header.magic == swapped(SavedHeader::right_magic))
      return refuse("the data was saved on a machine of the other byte order; use save_with() and load_with()",
                    header.magic, SavedHeader::right_magic, "(magic number)");
    if (header.magic != SavedHeader::right_magic)
      return refuse("the data does not begin as saved data does (the limit); pass what save() wrote, from its first "
                    "byte on",
                    header.magic, SavedHeader::right_magic, "(magic number)");
    SavedHeader const here = described();
    if (!here.accepts(header, error)) return false;
    constexpr char const* damaged = "the data was changed after it was saved, or is damaged; save it anew";
    if (header.high_water > header.slot_count || header.returned > header.high_water ||
        header.words > header.slot_count || (Shape::keyed ? header.words < header.high_water : header.words != 0))
      return refuse(damaged, header.high_water, header.slot_count, "slots");
    std::uint64_t const bytes = slots_at(header) + header.high_water * header.slot_bytes;
    if (header.bytes != bytes) return refuse(damaged, header.bytes, bytes, "bytes");
    if (data.size() < bytes) return refuse(cut, bytes, data.size(), "bytes");
    std::uint64_t const sum = SavedHeader::sum(data.data() + checked_from, checked_bytes(header) - checked_from);
    if (sum != header.checksum) return refuse(damaged, header.checksum, sum, "(checksum)");
    // Whatever passes the checksum by chance, no address leads out of the block.
    if (!is_in_block(header, data.data() + header_bytes))
      return refuse(damaged, header.returned, header.high_water, "slots");
    return true;
  }

  /// True if the entries of the order lie within the slots up to the bump pointer, as many as they should be.
  [[nodiscard]] bool is_in_block(SavedHeader const& header, std::byte const* data) noexcept {
    auto const high_water = static_cast<std::size_t>(header.high_water),
               returned = static_cast<std::size_t>(header.returned);
    if constexpr (bitmap) {
      std::size_t count = 0;
      for (std::size_t word = 0; word != words_for(high_water); ++word) {
        auto const bits = at<std::size_t>(data, word);
        if (bits != 0) count += static_cast<std::size_t>(std::popcount(bits));
        if (high_water - word * word_bits < word_bits && bits >> high_water % word_bits != 0) return false;
      }
      return count == returned;
    } else {
      std::size_t const unit = order == SavedOrder::stack ? core().stride() >> Shape::granule_shift : 1;
      return returned == 0 || are_at_most(data, returned, (high_water - 1) * unit);
    }
  }
  /// True if none of `count` places is greater than `last`.
  [[nodiscard]] static bool are_at_most(std::byte const* data, std::size_t count, std::uint64_t last) noexcept {
    std::uint64_t wrong = 0, rests = 0;
    std::size_t i = 0;
    if (last >> 31 == 0) {  // two at a time: the sign of a place, or of what is left from it to the last one
      std::uint64_t const lasts = last << 32 | last;
      for (; i + 8 <= count; i += 8) FASTALLOC_UNROLL for (std::size_t k = 0; k != 4; ++k) {
          auto const places = at<std::uint64_t>(data + i * sizeof(Place), k);
          wrong |= places;
          rests |= lasts - places;
        }
      wrong = (wrong | rests) & 0x8000'0000'8000'0000;
    }
    for (; i != count; ++i) wrong |= std::uint64_t{at<Place>(data, i) > last};
    return wrong == 0;
  }
  template <class V> [[nodiscard]] static V at(std::byte const* data, std::size_t i) noexcept {
    V value;
    std::memcpy(&value, data + i * sizeof value, sizeof value);
    return value;
  }

  /// Requires: read() accepted the data; the lock.
  void restore(SavedHeader const& header, std::byte const* data) noexcept {
    auto& list = supply().slots_;
    auto const high_water = static_cast<std::size_t>(header.high_water);
    std::size_t const stride = core().stride();
    supply().check_links();
    supply().sync_bump_pointer();
    supply().flush_last_freed();
    std::size_t const before = block().high_water, live_before = supply().live(), peak = supply().peak();
    // Iterations forget the slots that are untouched again; mark() tells them of those that are free.
    for (std::size_t place = high_water; place < before; ++place)
      for (Snapshot* s = supply().snapshots_; s != nullptr; s = s->outer) s->clear(slot(place));
    forget_free(before);
    if constexpr (covers) unpoison(block().data, (before > high_water ? before : high_water) * stride);
    if (high_water != 0) std::memcpy(block().data, data + slots_at(header), high_water * stride);
    if constexpr (covers)
      for (std::size_t place = high_water; place < before; ++place) cover(slot(place));
    supply().bump_ = slot(high_water);
    block().high_water = high_water;

    data += header_bytes;
    if constexpr (Shape::keyed)
      blocks().keys().restore(data + order_bytes(header), static_cast<std::size_t>(header.words),
                              static_cast<GenerationWord>(header.start), static_cast<GenerationWord>(header.reserved));
    if constexpr (Checks::tracks_slots)
      for (std::size_t place = 0; place != (before > high_water ? before : high_water); ++place)
        if (SlotMarks::test<false>(block(), place) != (place < high_water)) SlotMarks::flip<false>(block(), place);
    if constexpr (bitmap) {
      list.size_ = static_cast<std::size_t>(header.returned);  // is_in_block() has counted
      std::size_t const words = words_for(high_water);
      for (std::size_t word = 0; word != words; ++word) {
        auto bits = at<std::size_t>(data, word);
        list.level_[0][word] = bits;
        if (bits != 0) list.set_summary(word);
        if constexpr (tells_of_free)
          for (; bits != 0; bits &= bits - 1)
            scrub_free(slot(word * word_bits + static_cast<std::size_t>(std::countr_zero(bits))));
      }
      ++list.changes_;
    } else if constexpr (order == SavedOrder::stack) {
      if (header.returned != 0) std::memcpy(list.stack_, data, order_bytes(header));
      list.top_ = list.stack_ + header.returned;
      if constexpr (tells_of_free) list.for_each([&](std::byte* slot) { scrub_free(slot); }, blocks());
    } else {
      for (std::size_t i = 0; i != header.returned; ++i) {
        std::byte* const next = slot(at<Place>(data, i));
        if constexpr (tells_of_free) scrub_free(next);
        list.push(next, blocks());
      }
    }
    supply().reset_peak();
    supply().peak_floor_ = greater(peak, supply().live());
    if (supply().live() > live_before) core().stats_.allocated(supply().live() - live_before);
    if (core().waiters_.any()) core().serve_all();
  }

  /// Leaves the slot allocator without slots. `before`: slots up to the bump pointer.
  void forget_free([[maybe_unused]] std::size_t before) noexcept {
    auto& list = supply().slots_;
    if constexpr (bitmap) {
      list.recent_ = nullptr;
      list.check_in();
      for (std::size_t word = 0; word != words_for(before); ++word)
        if (std::exchange(list.level_[0][word], std::size_t{0}) != 0) list.clear_summary(word);
      list.size_ = 0;
    } else if constexpr (order == SavedOrder::stack) {
      list.top_ = list.limit_ = list.stack_;
    } else if constexpr (Slots::metadata_bytes(1, 1) == 0) {
      list = Slots();  // it reads no slot
    } else {
      list.erase_if([](std::byte*) noexcept { return true; }, blocks());
    }
  }

  /// AddressSanitizer is told of free slots.
  static constexpr bool covers = FASTALLOC_ASAN && Shape::poisons;
  static constexpr bool tells_of_free = covers || Checks::tracks_slots;
  void cover(std::byte* slot) noexcept { poison(slot, Core::Bytes::bytes_of(Shape::payload, core().stride())); }
  void scrub_free(std::byte* slot) noexcept {
    if constexpr (Checks::tracks_slots) SlotMarks::clear<false>(block(), blocks().place(block(), slot));
    core().scrub(slot);
  }
  static constexpr std::uint64_t swapped(std::uint64_t value) noexcept {
    std::uint64_t result = 0;
    for (int i = 0; i != 8; ++i, value >>= 8) result = result << 8 | (value & 0xFF);
    return result;
  }

  Pool& pool_;
};

}  // namespace fastalloc::detail::inline FASTALLOC_MODE

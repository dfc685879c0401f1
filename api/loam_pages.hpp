// loam.hpp's pages without objects, freed with their owner: for a VM's stack.
#ifndef LOAM_API_LOAM_PAGES_HPP_
#define LOAM_API_LOAM_PAGES_HPP_

#include <cstddef>

#include "api/loam.hpp"

namespace loam {
inline namespace cpp {

// Zeroed memory of the heap that the collector does not look at. Destroyed
// before its heap.
class Pages : internal::Pinned {
 public:
  ~Pages() {
    if (base_ == nullptr) return;
    internal::Require(loam_pages_free(heap_, base_), "freeing pages");
  }
  Status Allocate(loam_heap* heap, std::size_t bytes,
                  std::size_t alignment = 1) {
    heap_ = heap;
    return loam_pages_allocate(heap, bytes, alignment, &base_);
  }
  void* base() const { return base_; }

 private:
  loam_heap* heap_ = nullptr;
  void* base_ = nullptr;
};

}  // namespace cpp
}  // namespace loam

#endif  // LOAM_API_LOAM_PAGES_HPP_

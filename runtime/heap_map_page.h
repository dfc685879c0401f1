// The page that shows a heap, without its data: made by the build from
// heap_map_page.html, .css and the heap_map_*.js.

#ifndef LOAM_RUNTIME_HEAP_MAP_PAGE_H_
#define LOAM_RUNTIME_HEAP_MAP_PAGE_H_

#include <string_view>

namespace loam {

// The data, one JSON object, goes between them: text that has no '<'.
std::string_view HeapMapPageStart();
std::string_view HeapMapPageEnd();

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_MAP_PAGE_H_

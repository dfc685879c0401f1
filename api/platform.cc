// Thread pools.

#include "api/internal.h"
#include "runtime/thread_pool.h"

using namespace loam;  // NOLINT: the functions below are the C API itself.

namespace loam {
namespace {

ThreadPool* Unwrap(loam_thread_pool* pool) {
  return reinterpret_cast<ThreadPool*>(pool);
}

int Post(loam_task_fn task, void* argument, uint64_t delay_ns, void* data) {
  return static_cast<ThreadPool*>(data)->Post(task, argument, delay_ns) ? 1 : 0;
}

}  // namespace

ThreadPool* ThreadPoolOf(const loam_platform& platform) {
  return platform.post == &Post ? static_cast<ThreadPool*>(platform.data)
                                : nullptr;
}

}  // namespace loam

extern "C" {

loam_status loam_thread_pool_create(uint32_t threads, loam_thread_pool** pool) {
  constexpr char kCall[] = "loam_thread_pool_create";
  if (pool == nullptr)
    return InvalidArgument(nullptr, kCall, "pool", "is NULL");
  if (threads == 0 || threads > ThreadPool::kMaxThreads) {
    return InvalidArgument(nullptr, kCall, "threads", "must be 1 to 64");
  }
  ThreadPool* created = ThreadPool::Create(threads);
  if (created == nullptr) {
    ErrorMessage message;
    message.Format("%s: no memory, or no more threads to be had", kCall);
    return Report(nullptr, Status::kOutOfMemory, message);
  }
  *pool = reinterpret_cast<loam_thread_pool*>(created);
  return LOAM_OK;
}

loam_status loam_thread_pool_destroy(loam_thread_pool* pool) {
  constexpr char kCall[] = "loam_thread_pool_destroy";
  if (pool == nullptr)
    return InvalidArgument(nullptr, kCall, "pool", "is NULL");
  if (Unwrap(pool)->users() != 0) {
    return WrongState(nullptr, kCall, "pool",
                      "heaps use it; destroy them first");
  }
  ThreadPool::Destroy(Unwrap(pool));
  return LOAM_OK;
}

void loam_thread_pool_platform(loam_thread_pool* pool,
                               loam_platform* platform) {
  RequireNonNull(pool, "loam_thread_pool_platform", "pool");
  RequireNonNull(platform, "loam_thread_pool_platform", "platform");
  loam_platform_init(platform);
  platform->post = &Post;
  platform->data = Unwrap(pool);
}

}  // extern "C"

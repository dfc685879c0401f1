// References of peers that need no help with them: plain pointers.

#ifndef LOAM_BENCHMARKS_PEER_PLAIN_POINTERS_H_
#define LOAM_BENCHMARKS_PEER_PLAIN_POINTERS_H_

namespace peer {

class Thread;

template <typename T>
class Member {
 public:
  void Set(const Thread&, void*, T* target) { target_ = target; }
  T* get() const { return target_; }
  operator T*() const { return target_; }  // NOLINT: that is its purpose
  T* operator->() const { return target_; }

 private:
  T* target_;
};

template <typename T>
class Local {
 public:
  explicit Local(const Thread&, T* target = nullptr) : target_(target) {}
  Local(const Local&) = delete;
  // A compiler that has no more use for a pointer forgets it; a root stays.
  ~Local() { asm volatile("" : : "m"(target_)); }
  Local& operator=(const Local& other) = default;
  Local& operator=(T* target) {
    target_ = target;
    return *this;
  }
  T* get() const { return target_; }
  operator T*() const { return target_; }  // NOLINT: that is its purpose
  T* operator->() const { return target_; }

 private:
  T* target_;
};

template <typename T>
inline constexpr bool kIsMember = false;
template <typename T>
inline constexpr bool kIsMember<Member<T>> = true;

// Given by PEER_LAYOUT.
template <typename T>
struct Layout;

template <typename T>
typename Layout<T>::Element* Elements(T* object) {
  return reinterpret_cast<typename Layout<T>::Element*>(object + 1);
}

}  // namespace peer

// The members themselves do not matter, only whether there are any.
#define PEER_LAYOUT(T, ...) \
  PEER_ARRAY_LAYOUT(T, void __VA_OPT__(, ) __VA_ARGS__)
#define PEER_ARRAY_LAYOUT(T, E, ...)                                  \
  template <>                                                         \
  struct peer::Layout<T> {                                            \
    using Element = E;                                                \
    static constexpr bool kHasReferences = false __VA_OPT__(|| true); \
  }

#endif  // LOAM_BENCHMARKS_PEER_PLAIN_POINTERS_H_

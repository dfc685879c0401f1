// Ends the process when going on would be wrong. Nothing here allocates.
//
// Two of the three kinds of failure end here: host misuse that no status can
// report, and a bug of the runtime. (The third, out of memory, is always a
// result.) A message is one line on standard error, followed by the state of
// the heap that the thread was working for, if it said so with
// ScopedFatalContext.

#ifndef LOAM_RUNTIME_BASE_FATAL_H_
#define LOAM_RUNTIME_BASE_FATAL_H_

namespace loam {

// What a heap contributes to a fatal message. Immutable once built.
struct FatalContext {
  // Prints the heap's state with PrintRaw; must not take locks or allocate.
  void (*print_state)(void* data);
  // Tells the embedder; returning goes on to abort.
  void (*notify)(void* data, const char* message);
  void* data;
};

// While in scope, fatal messages of this thread speak for `context`.
class ScopedFatalContext {
 public:
  explicit ScopedFatalContext(const FatalContext* context);
  ~ScopedFatalContext();
  ScopedFatalContext(const ScopedFatalContext&) = delete;
  ScopedFatalContext& operator=(const ScopedFatalContext&) = delete;

 private:
  const FatalContext* const previous_;
};

// After a longjmp over ScopedFatalContexts: none is in effect.
void ResetFatalContext();

// printf to standard error through a stack buffer and write(2); at most 1 KiB a
// call.
void PrintRaw(const char* format, ...) __attribute__((format(printf, 1, 2)));

// The embedder broke a rule of the API.
[[noreturn]] void FatalMisuse(const char* format, ...)
    __attribute__((format(printf, 1, 2)));

// loam broke one of its own invariants.
[[noreturn]] void FatalBug(const char* format, ...)
    __attribute__((format(printf, 1, 2)));

}  // namespace loam

// Checked in every build: cheap conditions whose failure would corrupt memory.
#define LOAM_CHECK(condition, ...)                                        \
  do {                                                                    \
    if (__builtin_expect(!(condition), 0)) ::loam::FatalBug(__VA_ARGS__); \
  } while (0)

// Checked in debug builds only.
#ifdef NDEBUG
#define LOAM_DCHECK(condition)    \
  do {                            \
    if (false) (void)(condition); \
  } while (0)
#else
#define LOAM_DCHECK(condition)                                         \
  LOAM_CHECK(condition, "%s:%d: check failed: %s", __FILE__, __LINE__, \
             #condition)
#endif

#endif  // LOAM_RUNTIME_BASE_FATAL_H_

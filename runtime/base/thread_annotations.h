// Names for clang's thread-safety attributes; empty for other compilers.

#ifndef LOAM_RUNTIME_BASE_THREAD_ANNOTATIONS_H_
#define LOAM_RUNTIME_BASE_THREAD_ANNOTATIONS_H_

#if defined(__clang__)
#define LOAM_ANNOTATION(x) __attribute__((x))
#else
#define LOAM_ANNOTATION(x)
#endif

#define LOAM_CAPABILITY(name) LOAM_ANNOTATION(capability(name))
#define LOAM_SCOPED_CAPABILITY LOAM_ANNOTATION(scoped_lockable)
#define LOAM_GUARDED_BY(mutex) LOAM_ANNOTATION(guarded_by(mutex))
#define LOAM_PT_GUARDED_BY(mutex) LOAM_ANNOTATION(pt_guarded_by(mutex))
#define LOAM_REQUIRES(...) LOAM_ANNOTATION(requires_capability(__VA_ARGS__))
#define LOAM_EXCLUDES(...) LOAM_ANNOTATION(locks_excluded(__VA_ARGS__))
#define LOAM_ACQUIRE(...) LOAM_ANNOTATION(acquire_capability(__VA_ARGS__))
#define LOAM_RELEASE(...) LOAM_ANNOTATION(release_capability(__VA_ARGS__))
#define LOAM_TRY_ACQUIRE(...) \
  LOAM_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define LOAM_ASSERT_CAPABILITY(x) LOAM_ANNOTATION(assert_capability(x))
#define LOAM_RETURN_CAPABILITY(x) LOAM_ANNOTATION(lock_returned(x))
#define LOAM_NO_THREAD_SAFETY_ANALYSIS \
  LOAM_ANNOTATION(no_thread_safety_analysis)

#endif  // LOAM_RUNTIME_BASE_THREAD_ANNOTATIONS_H_

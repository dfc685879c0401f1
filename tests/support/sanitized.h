// Whether a sanitizer watches memory: everything is slower, and the process
// maps more than it says.

#ifndef LOAM_TESTS_SUPPORT_SANITIZED_H_
#define LOAM_TESTS_SUPPORT_SANITIZED_H_

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define LOAM_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define LOAM_TEST_SANITIZED 1
#endif
#endif
#ifndef LOAM_TEST_SANITIZED
#define LOAM_TEST_SANITIZED 0
#endif

namespace loam_test {

constexpr bool kSanitized = LOAM_TEST_SANITIZED != 0;

}  // namespace loam_test

#endif  // LOAM_TESTS_SUPPORT_SANITIZED_H_

/* Statuses, word kinds, value encodings and object types.
 *
 * A type tells the collector what every word of an object holds. Types belong
 * to a type set; several heaps may share one, and then the same handles and
 * cursor offsets are good in all of them.
 */
#ifndef LOAM_API_LOAM_TYPES_H_
#define LOAM_API_LOAM_TYPES_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if UINTPTR_MAX != UINT64_MAX
#error "loam needs a 64-bit target"
#endif

#if defined(__GNUC__)
#define LOAM_API __attribute__((visibility("default")))
#else
#define LOAM_API
#endif

/* The type behind an enumeration. In C++ it has to be said, so that a value
 * outside the enumerators is a bad argument, as in C, and not undefined. */
#ifdef __cplusplus
#define LOAM_ENUM_TYPE : unsigned int
#else
#define LOAM_ENUM_TYPE
#endif

/* One machine word of an object or a root. */
typedef uintptr_t loam_word;

typedef struct loam_heap loam_heap;         /* one heap */
typedef struct loam_mutator loam_mutator;   /* a thread's handle on a heap */
typedef struct loam_type loam_type;         /* a registered object type */
typedef struct loam_type_set loam_type_set; /* types shared by heaps */
typedef struct loam_visitor loam_visitor;   /* receives references */

typedef enum loam_status LOAM_ENUM_TYPE {
  LOAM_OK = 0,
  LOAM_INVALID_ARGUMENT, /* the message names the call and the argument */
  LOAM_OUT_OF_MEMORY,    /* the OS or heap_limit refused; the heap is usable */
  LOAM_NOT_SUPPORTED,    /* a capability of a later version */
  LOAM_WRONG_STATE,      /* right call, wrong moment; the message says why */
  LOAM_NOT_FOUND,
  LOAM_ABI_MISMATCH, /* header and library disagree about loam_inline.h */
  LOAM_IO_ERROR      /* a file; the message has the OS's reason */
} loam_status;

/* "LOAM_OK" and so on; "unknown status" for other numbers. */
LOAM_API const char* loam_status_name(loam_status status);

/* The message of the last failure on the calling thread; "" before the first.
 * Valid until the thread's next failing call. */
LOAM_API const char* loam_last_error(void);

/* What one word holds. A word of all zero bits is never a reference. */
typedef enum loam_word_kind LOAM_ENUM_TYPE {
  LOAM_DATA = 0,          /* no reference: ignored */
  LOAM_VALUE = 1,         /* decoded by the heap's value encoding */
  LOAM_POINTER = 2,       /* a plain address, anywhere inside an object, or 0 */
  LOAM_WEAK_VALUE = 3,    /* keeps nothing alive, see loam_weak.h: a value */
  LOAM_WEAK_POINTER = 4,  /* the same: an address */
  LOAM_EPHEMERON_KEY = 5, /* a value, weak */
  LOAM_EPHEMERON_VALUE = 6, /* a value, alive with the keys of its record */
  LOAM_AMBIGUOUS = 7        /* perhaps an address: keeps alive what it hits */
} loam_word_kind;

/* ---- Value encodings --------------------------------------------------- */

typedef enum loam_encoding_kind LOAM_ENUM_TYPE {
  LOAM_ENCODING_POINTER = 0, /* a value is an address or 0 */
  LOAM_ENCODING_LOW_TAG,     /* the low bits tell whether it is a reference */
  LOAM_ENCODING_NANBOX,      /* the high bits tell whether it is a reference */
  LOAM_ENCODING_CALLBACK     /* a function decodes it */
} loam_encoding_kind;

/* Returns the address a word refers to, or 0. Pure: same word, same answer;
 * called on any thread while collecting; never calls loam. */
typedef uintptr_t (*loam_decode_fn)(loam_word word);

/* How the heap's LOAM_VALUE words are decoded; fixed when it is created.
 *
 * LOW_TAG: tag = word & low_tag_mask (at most 63); a word is a reference if bit
 *   `tag` of low_tag_references is set; its address is word & ~low_tag_mask.
 * NANBOX: tag = word >> nanbox_shift; a word is a reference if
 *   nanbox_first_tag <= tag <= nanbox_last_tag; its address is
 *   word & nanbox_payload_mask.
 */
typedef struct loam_encoding {
  loam_encoding_kind kind;
  uint32_t low_tag_mask;
  uint64_t low_tag_references;
  uint32_t nanbox_shift;
  uint32_t nanbox_first_tag;
  uint32_t nanbox_last_tag;
  uint64_t nanbox_payload_mask;
  loam_decode_fn decode;
} loam_encoding;

/* ---- Types ------------------------------------------------------------- */

/* `count` words of one kind, from a byte offset that is a multiple of 8. */
typedef struct loam_field {
  const char* name; /* for messages and snapshots; may be NULL */
  uint32_t offset;
  uint32_t count;
  loam_word_kind kind;
} loam_field;

/* LOAM_FIELD(struct pair, car, LOAM_VALUE): the words of a member. */
#define LOAM_FIELD(type, member, kind)        \
  {#member, (uint32_t)offsetof(type, member), \
   (uint32_t)(sizeof(((type*)0)->member) / sizeof(loam_word)), (kind)}

/* Visits every reference of `object`, whose cell has `size` bytes, through the
 * loam_visit_* functions. Reads only the object's own words, accepts all zeroes
 * and any mixture of old and new words, never allocates; any thread, several
 * objects in parallel. */
typedef void (*loam_trace_fn)(loam_visitor* visitor, void* object, size_t size);

/* Called once for each dead object of a type, before its memory is reused, with
 * the bytes of its cell: to close a file or free a buffer, without a record per
 * object. While sweeping, so perhaps inside an allocation or a collection; any
 * thread, any order, several objects in parallel. It reads and writes the
 * object's own data words (what its references lead to may be gone), and calls
 * nothing of loam. */
typedef void (*loam_dispose_fn)(void* object, size_t size);

enum {
  LOAM_TYPE_HOT = 1u << 0, /* typed spans from the first object on */
  /* Weak references to objects of the type are strong: interned strings, say */
  LOAM_TYPE_NEVER_CLEARED = 1u << 1,
  LOAM_TYPE_TRACE_STOPPED = 1u
                            << 2, /* trace only while its writers stand still */
  /* dispose waits, and the cell with it, its references cleared, until
   * loam_finalizers_run calls it. Not with a trace function */
  LOAM_TYPE_DISPOSE_QUEUED = 1u << 3
};

/* Everything about a type. Words that no field names are data. Initialise with
 * LOAM_TYPE_INFO_INIT and set what differs. */
typedef struct loam_type_info {
  size_t struct_size; /* sizeof(loam_type_info) */
  const char* name;
  size_t size;      /* bytes of the fixed part; 0 only with element_size */
  size_t alignment; /* 0 for the default; else a power of two up to 4096 */
  const loam_field* fields;
  size_t field_count;
  /* 0: fixed size. Otherwise a trailing array of elements of this many bytes
   * follows the fixed part and reaches to the end of the cell. If elements hold
   * references, `size` and `element_size` are multiples of 8. */
  size_t element_size;
  const loam_field* element_fields; /* offsets within one element */
  size_t element_field_count;
  const uint8_t* word_kinds; /* instead of fields: a kind per word of `size` */
  loam_trace_fn trace;       /* instead of both */
  loam_dispose_fn dispose;   /* may be NULL */
  uint32_t flags;            /* LOAM_TYPE_* */
  void* user;                /* returned by loam_type_user */
} loam_type_info;

static inline loam_type_info loam_type_info_init(void) {
  loam_type_info info;
  memset(&info, 0, sizeof(info));
  info.struct_size = sizeof(info);
  return info;
}
#define LOAM_TYPE_INFO_INIT loam_type_info_init()

/* Creates an empty type set. It must outlive the heaps that use it. */
LOAM_API loam_status loam_type_set_create(loam_type_set** set);

/* Destroys a set that no heap uses (else LOAM_WRONG_STATE), and its types. */
LOAM_API loam_status loam_type_set_destroy(loam_type_set* set);

/* Registers a type; at most 1,048,576 per set. The handle lives as long as the
 * set. Errors: LOAM_INVALID_ARGUMENT naming the field, LOAM_NOT_SUPPORTED,
 * LOAM_OUT_OF_MEMORY. */
LOAM_API loam_status loam_type_register(loam_type_set* set,
                                        const loam_type_info* info,
                                        const loam_type** type);

LOAM_API void* loam_type_user(const loam_type* type);
LOAM_API const char* loam_type_name(const loam_type* type);

/* Version of the library, as (major << 16) | (minor << 8) | patch. */
LOAM_API uint32_t loam_version(void);
/* LOAM_ABI_VERSION of the library. */
LOAM_API uint32_t loam_abi(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_TYPES_H_ */
